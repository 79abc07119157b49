"""The system's own table of names, ``/etc/hosts`` (hosts(5)); it wins over DNS."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from fairlead.compile import Address

__all__ = ["parse", "read"]

_LOOPBACK: tuple[Address, ...] = (ip_address("127.0.0.1"), ip_address("::1"))


def parse(text: str) -> dict[str, tuple[Address, ...]]:
    """Each name, in lower case, with all its addresses in the order of the lines."""
    found: dict[str, dict[Address, None]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            ip = ip_address(address)
        except ValueError:
            continue
        for name in names:
            found.setdefault(name.lower(), {})[ip] = None
    return {name: tuple(addresses) for name, addresses in found.items()}


def read(path: Path = Path("/etc/hosts")) -> Mapping[str, tuple[Address, ...]]:
    """The table now. ``localhost`` is loopback even where the file forgets it (RFC 6761 6.3)."""
    try:
        table = parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        table = {}
    return {"localhost": _LOOPBACK, **table}
