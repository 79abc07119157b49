"""Keeps the members of pools with names up to date, and says when they changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from fairlead.compile import Json, members, names
from fairlead.discover.resolver import NameResolver, ResolveError
from fairlead.discover.schedule import Schedule
from fairlead.model import Configuration, Pool

__all__ = ["Clock", "EventLoopClock", "Watch"]


class Clock(Protocol):
    """Time, as far as waiting goes."""

    def now(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds have passed."""


class EventLoopClock:
    """The running loop's time."""

    def now(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """The loop's sleep."""
        await asyncio.sleep(seconds)


class Watch:
    """Resolves the names of all pools, again and again.

    Args:
        clock: What time it is.
        first_generation: Where the generations of lists begin; above those of an earlier life of this
        process. on_failure: Told of each name that could not be resolved; its last addresses stand.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        first_generation: int = 1,
        on_failure: Callable[[ResolveError], None] = lambda _error: None,
    ) -> None:
        self._clock = clock
        self._generation = first_generation
        self._on_failure = on_failure
        self._schedule = Schedule()
        self._resolver: NameResolver | None = None
        self._pools: dict[str, Pool] = {}
        self._told: dict[str, list[Json]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()

    def use(self, configuration: Configuration, resolver: NameResolver) -> None:
        """Watch the names of this configuration from now on. Every pool's list is yielded once again."""
        self._resolver = resolver
        self._pools = {name: pool for name, pool in configuration.pools.items() if names(pool)}
        self._told = {}
        self._settled.clear()
        self._schedule.use(
            {host for pool in self._pools.values() for host in names(pool)},
            self._clock.now(),
            min_ttl=configuration.resolver.min_ttl.seconds,
            max_ttl=configuration.resolver.max_ttl.seconds,
        )
        self._woken.set()

    async def settled(self) -> None:
        """Return when every name in use has been asked for once, with or without an answer."""
        await self._settled.wait()

    async def changes(self) -> AsyncIterator[Json]:
        """Yield a pool's whole list of members each time it changed, and when a configuration came into use.

        It never ends by itself. Only one task may iterate.
        """
        try:
            while True:
                self._woken.clear()
                self._ask()
                for changed in self._changed():
                    yield changed
                if self._schedule.settled(self._schedule.names()):
                    self._settled.set()
                await self._wait()
        finally:
            for task in self._asking.values():
                task.cancel()

    def _ask(self) -> None:
        # Each name by itself: one whose servers are silent holds up no other.
        for name in self._schedule.due(self._clock.now()):
            if self._resolver is not None and name not in self._asking:
                self._asking[name] = asyncio.ensure_future(self._resolve(self._resolver, name))

    async def _resolve(self, resolver: NameResolver, name: str) -> None:
        try:
            answer = await resolver.resolve(name)
        except ResolveError as error:
            self._schedule.failed(name, self._clock.now())
            self._on_failure(error)
        else:
            self._schedule.answered(name, answer, self._clock.now())
        finally:
            self._asking.pop(name, None)
            self._woken.set()

    def _changed(self) -> list[Json]:
        changed = []
        for name, pool in self._pools.items():
            if not any(self._schedule.settled([host]) for host in names(pool)):
                continue  # what is literal already stands in the Plan
            found = {host: self._schedule.addresses(host) for host in names(pool)}
            made = members(name, pool, found, generation=self._generation)
            if made["backends"] != self._told.get(name):
                self._told[name] = made["backends"]
                self._generation += 1
                changed.append(made)
        return changed

    async def _wait(self) -> None:
        """Sleep until a name is due, an answer came or a configuration came."""
        tasks = [asyncio.ensure_future(self._woken_up())]
        due = self._schedule.next_due(besides=self._asking)
        if due is not None:
            tasks.append(asyncio.ensure_future(self._clock.sleep(max(0.0, due - self._clock.now()))))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _woken_up(self) -> None:
        await self._woken.wait()
