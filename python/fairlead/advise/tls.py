"""Hints about certificates that clients will not take."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from fairlead.advise.hint import Hint
from fairlead.model import CertificateFacts, Configuration, ListenerTls, RoutesListener

__all__ = ["hints"]

SOON_DAYS = 30
"""Certificates of 90 days are usually renewed when a third of that is left."""

_DAY = 86_400


def hints(
    configuration: Configuration, certificates: Mapping[str, CertificateFacts], now: float
) -> Iterator[Hint]:
    """What is said about ``certificates``, and about listeners whose hosts none of theirs is for."""
    for name, facts in certificates.items():
        path = ("certificates", name, "cert")
        if facts.not_after < now:
            yield path, f"expired on {_date(facts.not_after)}: clients refuse it"
        elif facts.not_before > now:
            yield path, f"is valid from {_date(facts.not_before)} on: until then clients refuse it"
        elif facts.not_after < now + SOON_DAYS * _DAY:
            days = int(facts.not_after - now) // _DAY
            yield path, f"expires on {_date(facts.not_after)}, in {days} days: renew it"
    for name, pool in configuration.pools.items():
        if pool.tls and not pool.tls.verify:
            message = (
                "whoever answers at a backend's address is taken for the backend: write ca_file, with the "
                "backend's own certificate if nobody signed it"
            )
            yield ("pools", name, "tls", "verify"), message
    for name, listener in configuration.listeners.items():
        if isinstance(listener, RoutesListener) and listener.tls:
            yield from _uncovered(name, listener, listener.tls, certificates)


def _uncovered(
    name: str, listener: RoutesListener, tls: ListenerTls, certificates: Mapping[str, CertificateFacts]
) -> Iterator[Hint]:
    own = [certificates[each] for each in tls.certificates if each in certificates]
    told = set()
    for index, route in enumerate(listener.routes):
        for host in route.match.host:
            covered = any(host in each.names if host.startswith("*") else each.covers(host) for each in own)
            if not covered and host not in told:
                told.add(host)
                path = ("listeners", name, "routes", index, "match", "host")
                yield path, f"no certificate of this listener is for {host}: clients that ask for it refuse"


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
