"""Hints about who could steer, or deceive, this Fairlead."""

from collections.abc import Iterator
from ipaddress import ip_network

from fairlead.advise.hint import Hint
from fairlead.model import AnyAddress, Bind, Configuration, UnixPath

__all__ = ["hints"]

WIDEST_TRUST = {4: 8, 6: 16}
"""Shorter prefixes hold more than any operator's own network: 10/8 is the largest private one."""


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about ``admin`` and ``trusted``."""
    if not configuration.admin.tokens:
        for bind in configuration.admin.bind:
            if _is_public(bind):
                message = f"{bind.text} shows state and metrics to whoever reaches it: add tokens"
                yield ("admin", "bind"), message
    for name, listener in configuration.listeners.items():
        for index, text in enumerate(listener.trusted):
            network = ip_network(text)
            if network.prefixlen < WIDEST_TRUST[network.version]:
                message = (
                    f"{text} lets clients choose the address they are logged with: name only your proxies"
                )
                yield ("listeners", name, "trusted", index), message


def _is_public(bind: Bind) -> bool:
    if isinstance(bind.address, UnixPath):
        return False
    return isinstance(bind.address, AnyAddress) or not bind.address.ip.is_loopback
