"""Hints about means against failing backends that cannot do what they are for."""

from collections.abc import Iterator

from fairlead.advise.hint import Hint
from fairlead.model import Configuration, HostPort, Pool, RoutesListener
from fairlead.units import Share

__all__ = ["hints"]

LARGE_BUDGET = Share(0.2)
"""A pool that is slow as a whole gets this much more to do from those that wait for it."""

FEW_BACKENDS = 3
"""Below, one breaker that opens may take more from a pool than it can spare."""


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about breakers, queues and hedges."""
    for name, pool in configuration.pools.items():
        for path, message in _pool(pool):
            yield ("pools", name, *path), message
    for name, listener in configuration.listeners.items():
        if isinstance(listener, RoutesListener):
            for index, route in enumerate(listener.routes):
                pool = configuration.pools[route.pool]
                if route.hedge is not None:
                    at = ("listeners", name, "routes", index, "hedge")
                    for path, message in _hedge(route.hedge.budget, pool):
                        yield (*at, *path), message


def _pool(pool: Pool) -> Iterator[Hint]:
    count = len(pool.backends)
    if pool.circuit_breaker is not None and _is_literal(pool) and count < FEW_BACKENDS:
        others = "every request is answered 503" if count == 1 else "the other one has all of its load"
        yield ("circuit_breaker",), f"while the breaker of one backend is open, {others}"
    limits = [pool.max_in_flight, *(each.max_in_flight for each in pool.backends)]
    if pool.queue is not None and all(limit is None for limit in limits):
        yield ("queue",), "nobody ever waits: no backend has a max_in_flight"


def _hedge(budget: Share, pool: Pool) -> Iterator[Hint]:
    if budget.fraction == 0:
        yield ("budget",), "0% allows none but one second try in 10 s"
    elif budget > LARGE_BUDGET:
        yield ("budget",), f"a pool that becomes slow gets up to {budget} more requests"
    if len(pool.backends) == 1 and _is_literal(pool):
        yield (), "the pool has one backend: there is no other for a second try"


def _is_literal(pool: Pool) -> bool:
    return not any(isinstance(each.address.target, HostPort) for each in pool.backends)
