"""Hints about clients that are kept at their backends: where that does nothing, or not what it should."""

from collections.abc import Iterator

from fairlead.advise.hashing import FORWARDED
from fairlead.advise.hint import Hint
from fairlead.model import Configuration, Pool, RoutesListener
from fairlead.model.affinity import CookieAffinity, HeaderAffinity, TableAffinity
from fairlead.model.algorithm import ConsistentHash, options

__all__ = ["hints"]


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about ``affinity`` of pools."""
    yield from _hedges(configuration)
    trusting = any(listener.trusted for listener in configuration.listeners.values())
    for name, pool in configuration.pools.items():
        if pool.affinity is not None:
            for path, message in _pool(pool, trusting=trusting):
                yield ("pools", name, "affinity", *path), message


def _pool(pool: Pool, *, trusting: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(options(pool.algorithm), ConsistentHash):
        yield (), "consistent_hash sends a key to the same backend as it is: keep one of the two"
    match pool.affinity:
        case CookieAffinity(cookie=cookie):
            if cookie.secret is None:
                yield (
                    ("cookie", "secret"),
                    "without it no other node understands the cookies: give all of them the same secret_file",
                )
            if cookie.same_site == "none" and cookie.secure is False:
                yield ("cookie", "secure"), "browsers refuse a cookie with same_site none that is not secure"
        case HeaderAffinity(header=header) if header.lower() in FORWARDED:
            yield ("header",), f"{header} is whatever a client wrote: clients would choose their backends"
        case TableAffinity(table=table) if table.key == ("client",) and not trusting:
            yield (
                ("table", "key"),
                "all behind one NAT, or a proxy that is not in `trusted`, are one client: prefer a cookie",
            )
        case _:
            pass


def _hedges(configuration: Configuration) -> Iterator[Hint]:
    for name, listener in configuration.listeners.items():
        for index, route in enumerate(listener.routes if isinstance(listener, RoutesListener) else ()):
            pool = configuration.pools.get(route.pool)
            if route.hedge is not None and pool is not None and pool.affinity is not None:
                path = ("listeners", name, "routes", index, "hedge")
                yield path, f"affinity keeps each client of {route.pool} at one backend: nothing is hedged"
