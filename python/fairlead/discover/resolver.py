"""DNS: all addresses of a name, and for how long they hold."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from fairlead.compile import Address
from fairlead.discover import hosts
from fairlead.discover.answer import Answer
from fairlead.errors import FairleadError
from fairlead.model import Resolver

__all__ = ["DnsResolver", "NameResolver", "ResolveError"]

HOSTS_TTL = 10.0
"""Seconds for which an answer of ``/etc/hosts`` holds: reading it costs nothing, and an edit shows soon."""

LIFETIME = 5.0
"""Seconds for one question over all servers; the last good answer stands meanwhile."""


class ResolveError(FairleadError):
    """A name has no address, or no server said so in time."""


class NameResolver(Protocol):
    """Whoever can say what a name stands for."""

    async def resolve(self, name: str) -> Answer:
        """Ask for both families.

        Raises:
            ResolveError: if neither gave an address.
        """


class DnsResolver:
    """Asks the servers of ``resolver.servers``, else the system's; ``/etc/hosts`` is looked at first."""

    def __init__(
        self,
        wanted: Resolver,
        table: Callable[[], Mapping[str, tuple[Address, ...]]] = hosts.read,
    ) -> None:
        self._table = table
        self._resolver, self._search = _resolver(wanted)

    async def resolve(self, name: str) -> Answer:
        """Ask for A and AAAA at once; a truncated answer is asked for again over TCP (RFC 7766)."""
        known = self._table().get(name.rstrip(".").lower())
        if known:
            return _split(known)
        ipv4, ipv6 = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"))
        answers = [each for each in (ipv4, ipv6) if isinstance(each, _Records)]
        if not any(each.addresses for each in answers):
            errors = [each for each in (ipv4, ipv6) if isinstance(each, str)]
            message = f"{name}: {errors[0] if errors else 'it has no address'}"
            raise ResolveError(message)
        return Answer(
            ipv4.addresses if isinstance(ipv4, _Records) else None,
            ipv6.addresses if isinstance(ipv6, _Records) else None,
            min(each.ttl for each in answers if each.addresses),
        )

    async def _ask(self, name: str, kind: str) -> "_Records | str":
        """One family's records, or why there are none."""
        try:
            answer = await self._resolver.resolve(
                name, kind, search=self._search, lifetime=LIFETIME, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return "there is no such name"
        except (dns.exception.DNSException, OSError) as error:
            return f"no server answered ({type(error).__name__})"
        records = answer.rrset or ()
        return _Records(
            tuple(ip_address(each.address) for each in records), answer.chaining_result.minimum_ttl
        )


@dataclass(frozen=True, slots=True)
class _Records:
    addresses: tuple[Address, ...]
    ttl: float


def _resolver(wanted: Resolver) -> tuple[dns.asyncresolver.Resolver, bool]:
    if not wanted.servers:
        try:
            return (
                dns.asyncresolver.Resolver(),
                True,
            )  # with the system's search domains, as every program has
        except dns.resolver.NoResolverConfiguration:
            pass
    resolver = dns.asyncresolver.Resolver(configure=False)
    servers: list[str | dns.nameserver.Nameserver] = [
        dns.nameserver.Do53Nameserver(str(each.ip), each.port) for each in wanted.servers
    ]
    # Without a resolv.conf the C library asks the machine itself, and so do we (resolv.conf(5)).
    resolver.nameservers = servers or ["127.0.0.1"]
    return resolver, False


def _split(addresses: tuple[Address, ...]) -> Answer:
    ipv4, ipv6 = (tuple(ip for ip in addresses if ip.version == version) for version in (4, 6))
    return Answer(ipv4, ipv6, HOSTS_TTL)
