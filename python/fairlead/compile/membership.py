"""Who is in a pool: literal backends, and those that names stand for at the moment."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from fairlead.model import Adaptive, AdaptiveLimit, Backend, HostPort, IpPort, MaxInFlight, Pool, UnixPath

__all__ = ["Address", "backends", "literal_backends", "members", "names"]

Address = IPv4Address | IPv6Address


def names(pool: Pool) -> frozenset[str]:
    """The names that have to be resolved for the pool."""
    targets = (backend.address.target for backend in pool.backends)
    return frozenset(target.host for target in targets if isinstance(target, HostPort))


def literal_backends(pool: Pool) -> list[int]:
    """The places in the pool's list of the backends that need no resolving."""
    return [
        index for index, each in enumerate(pool.backends) if not isinstance(each.address.target, HostPort)
    ]


def backends(pool: Pool, resolved: Mapping[str, Sequence[Address]] | None = None) -> list[dict[str, Any]]:
    """The pool's backends in file order, as the engine reads them; a name is all its addresses.

    The id of a literal backend is its name, else its address as written; of a resolved one the same with
    ``@`` and the IP address, whether the name has one address or many: a second one must not rename the
    first. Every address of a name has the whole weight and limit that was written, as if it were listed by
    itself.
    """
    found = resolved or {}
    members: list[dict[str, Any]] = []
    for backend in pool.backends:
        target = backend.address.target
        if isinstance(target, HostPort):
            members.extend(
                _member(pool, backend, IpPort(ip, target.port), f"@{ip}") for ip in found.get(target.host, ())
            )
        else:
            members.append(_member(pool, backend, target))
    return members


def members(
    name: str, pool: Pool, resolved: Mapping[str, Sequence[Address]], *, generation: int
) -> dict[str, Any]:
    """The whole membership of a pool, literal backends included, as the engine reads it."""
    return {"pool": name, "generation": generation, "backends": backends(pool, resolved)}


def _member(pool: Pool, backend: Backend, target: IpPort | UnixPath, resolved_to: str = "") -> dict[str, Any]:
    limit = pool.max_in_flight if backend.max_in_flight is None else backend.max_in_flight
    return {
        "id": backend.id + resolved_to,
        # So that tables of all nodes agree, however a name resolves or an address is written.
        "hash_name": backend.name + resolved_to if backend.name else str(target),
        "host": backend.address.target.host if isinstance(backend.address.target, HostPort) else None,
        "address": {"unix": target.path} if isinstance(target, UnixPath) else {"ip": str(target)},
        "weight": backend.weight,
        "max_in_flight": _limit(limit),
        "zone": backend.zone,
        "backup": backend.backup,
    }


def _limit(limit: MaxInFlight) -> int | dict[str, Any] | None:
    if limit is None or isinstance(limit, int):
        return limit
    bounds = limit.adaptive if isinstance(limit, AdaptiveLimit) else Adaptive()
    return {"adaptive": {"min": bounds.min, "max": bounds.max}}
