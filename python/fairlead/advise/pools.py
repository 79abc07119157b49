"""Hints about pools that cannot do what a pool is for."""

from collections.abc import Iterator

from fairlead.advise.hint import Hint
from fairlead.model import Configuration, HostPort, Pool
from fairlead.units import Duration

__all__ = ["hints"]

FEW_SLOTS = 4
"""Requests at once over a whole pool; a browser alone opens six connections."""

LONG_CONNECT = Duration(10_000)
"""A client has mostly left by then, and the next backend was never asked."""


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about ``pools``."""
    used = _used(configuration)
    for name, pool in configuration.pools.items():
        if name not in used:
            yield ("pools", name), "no listener or route uses it"
        for path, message in _pool(pool):
            yield ("pools", name, *path), message


def _used(configuration: Configuration) -> set[str]:
    return {pool for listener in configuration.listeners.values() for pool in listener.pools}


def _pool(pool: Pool) -> Iterator[Hint]:
    if len(pool.backends) == 1 and not isinstance(pool.backends[0].address.target, HostPort):
        yield ("backends",), "one backend: when it fails there is no other to go to"
    if all(backend.weight == 0 for backend in pool.backends):
        yield ("backends",), "every weight is 0: every request will be answered 503"
    limits = [
        pool.max_in_flight if each.max_in_flight is None else each.max_in_flight for each in pool.backends
    ]
    known = [limit for limit in limits if isinstance(limit, int)]
    if len(known) == len(limits) and sum(known) <= FEW_SLOTS:
        yield (
            ("max_in_flight",),
            f"{sum(known)} requests at once in the whole pool; one more is answered 503",
        )
    if pool.algorithm == "first" and all(limit is None for limit in limits):
        yield ("algorithm",), "first without max_in_flight sends everything to the first backend"
    if pool.timeouts.connect > LONG_CONNECT:
        yield ("timeouts", "connect"), f"{pool.timeouts.connect} passes before another backend is tried"
