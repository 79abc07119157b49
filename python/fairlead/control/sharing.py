"""Shares with other nodes whom clients belong to, by a Redis.

No request waits for it: the engine serves by its own tables and says what changes in them; what others change
is told to it. Where two nodes bound a client at the same time, the one that the store has holds for both.
While the store is away the engine goes on by itself; what its clients do afterwards is told anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from fairlead.control.errors import EngineLost
from fairlead.control.messages import Said
from fairlead.control.store import Running, State
from fairlead.errors import FairleadError, Problem
from fairlead.model.affinity import TableAffinity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from fairlead.control.messages import Change, Entries
    from fairlead.control.shared_table import SharedTable
    from fairlead.control.store import Store
    from fairlead.model import Configuration

MOST_WAITING = 100_000
"""Changes that wait to be written; beyond them they are dropped, and told anew when their client is back."""

BATCH = 500
"""Changes that are written at once."""

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_PAUSE_SECONDS = 1.0
_PING_SECONDS = 2.0

_log = structlog.get_logger("fairlead.control")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shared, and with which engine's tables."""

    address: str
    ttls: Mapping[str, int]
    """Milliseconds, by pool."""

    engine: float = 0.0
    """Since when it runs: another one knows nothing yet."""

    plan: int = 0
    """A reload may have made new tables."""


def missing(configuration: Configuration) -> Iterator[Problem]:
    """What stands in the configuration and can't be done without the extra."""
    if find_spec("redis") is not None:
        return
    for name in _ttls(configuration):
        path = ("pools", name, "affinity", "table", "store")
        yield Problem(path, "redis needs the extra: pip install 'fairlead[redis]'")


class Sharing:
    """The connection to the store, for the life of the control process."""

    def __init__(self, store: Store, say: Callable[[Said], Awaitable[None]]) -> None:
        self._store = store
        self._say = say
        self._address = ""
        self._ttls: Mapping[str, int] = {}
        self._changed = asyncio.Event()
        self._changes: deque[Change] = deque()
        self._news = asyncio.Event()
        self._is_connected = False
        self.dropped = 0

    def use(self, configuration: Configuration) -> None:
        """Share what this configuration says from now on."""
        redis = configuration.cluster.redis
        self._address = redis.get_secret_value() if redis else ""
        self._ttls = _ttls(configuration)
        self._changed.set()

    def take(self, changes: tuple[Change, ...]) -> None:
        """What changed in the engine's tables. Nothing waits for a store that is away."""
        room = MOST_WAITING - len(self._changes) if self._is_connected else 0
        self._changes.extend(changes[:room])
        self.dropped += len(changes) - len(changes[:room])
        self._news.set()

    async def run(self) -> None:
        """Keep the tables of all nodes the same, as far as the store is there."""
        failures = 0
        while True:
            wanted = await self._until_wanted()
            try:
                # Imported only where it is wanted: it is an extra.
                from fairlead.control.shared_table import StoreError, connected  # noqa: PLC0415

                async with connected(wanted.address) as table:
                    await self._begin(table, wanted)
                    failures = 0
                    await self._live(table, wanted)
            except StoreError as error:
                await self._away(str(error))
                pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
                await self._changed_within(wanted, pause)
            except EngineLost:
                # Another engine is another thing that is wanted.
                await self._changed_within(wanted, _PAUSE_SECONDS)
            except FairleadError as error:
                _log.error("the engine does not take what other nodes say", reason=str(error))
                await self._changed_within(wanted, _PAUSE_SECONDS)
            finally:
                self._is_connected = False
                self._changes.clear()

    async def _begin(self, table: SharedTable, wanted: Wanted) -> None:
        """Have the engine know what all others know."""
        await table.subscribe()
        count = 0
        async for entries in table.everything(wanted.ttls):
            count += sum(len(each) for each in entries.values())
            await self._say(Said(pools=entries))
        self._is_connected = True
        await self._say(Said(connected=True))
        _log.debug("affinity is shared", entries=count)

    async def _live(self, table: SharedTable, wanted: Wanted) -> None:
        """Pass on what changes on either side, until something else is wanted."""
        works = (
            self._write(table, wanted.ttls),
            self._listen(table, wanted.ttls),
            _look(table),
            self._until_changed(wanted),
        )
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, table: SharedTable, ttls: Mapping[str, int]) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._changes:
                batch = [self._changes.popleft() for _ in range(min(BATCH, len(self._changes)))]
                known = [change for change in batch if change.pool in ttls]
                if theirs := await table.write(known, ttls):
                    await self._say(Said(pools=theirs))

    async def _listen(self, table: SharedTable, ttls: Mapping[str, int]) -> None:
        async for entries in table.heard():
            ours: Entries = {pool: each for pool, each in entries.items() if pool in ttls}
            if ours:
                await self._say(Said(pools=ours))

    async def _away(self, reason: str) -> None:
        self._is_connected = False
        with contextlib.suppress(FairleadError):
            await self._say(Said(connected=False, reason=reason))

    async def _until_wanted(self) -> Wanted:
        while (wanted := self._wanted(self._store.state)) is None:
            await self._change()
        return wanted

    async def _until_changed(self, wanted: Wanted) -> None:
        while self._wanted(self._store.state) == wanted:
            await self._change()

    async def _changed_within(self, wanted: Wanted, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until_changed(wanted)

    async def _change(self) -> None:
        """Wait until something is another than it was, here or in the state."""
        self._changed.clear()
        before = self._engine(self._store.state)
        state = asyncio.create_task(self._store.until(lambda state: self._engine(state) != before))
        here = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait((state, here), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (state, here):
                task.cancel()

    def _wanted(self, state: State) -> Wanted | None:
        engine = self._engine(state)
        if not self._ttls or engine is None:
            return None
        return Wanted(self._address, self._ttls, *engine)

    @staticmethod
    def _engine(state: State) -> tuple[float, int] | None:
        engine = state.engine
        if not isinstance(engine, Running) or engine.serving is None or engine.stopping:
            return None
        return engine.since, engine.serving


async def _look(table: SharedTable) -> None:
    """A store that hangs says nothing by itself."""
    while True:
        await asyncio.sleep(_PING_SECONDS)
        await table.ping()


def _ttls(configuration: Configuration) -> dict[str, int]:
    return {
        name: pool.affinity.table.ttl.milliseconds
        for name, pool in configuration.pools.items()
        if isinstance(pool.affinity, TableAffinity) and pool.affinity.table.store == "redis"
    }
