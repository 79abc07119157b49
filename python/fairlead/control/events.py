"""The last events, for any number of readers, of whom none can hold up the writer or the others.

A bounded ring: a reader is a place in it. One that falls behind further than the ring reaches is told so and
sent away, since what it would read has a hole that it should know of; it may come back with the id of the
last event that it has.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from fairlead.model.event import GAP, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAPACITY = 1024
"""As many as the engine keeps for a control process that is away; some 300 KiB."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class EventLog:
    """Numbers events and keeps the last of them.

    An id is the life of this log (when it began) and a number, so that one of an earlier control process is
    not taken for one of ours.
    """

    def __init__(self, capacity: int = CAPACITY, now_ms: Callable[[], int] = _now_ms) -> None:
        self._ring: deque[Event] = deque(maxlen=capacity)
        self._now_ms = now_ms
        self._life = now_ms()
        self._written = 0
        self._arrived = asyncio.Event()

    def append(self, kind: str, details: Mapping[str, Any], at_ms: int | None = None) -> Event:
        """Take an event; never waits for a reader."""
        self._written += 1
        event = Event(
            id=f"{self._life}-{self._written}",
            kind=kind,
            at_ms=self._now_ms() if at_ms is None else at_ms,
            details=dict(details),
        )
        self._ring.append(event)
        self._arrived.set()
        self._arrived = asyncio.Event()
        return event

    def about(self, pool: str, backend: str) -> tuple[Event, ...]:
        """Those that are kept and concern a backend, in their order."""
        return tuple(event for event in self._ring if event.concerns(pool, backend))

    def reader(self, last: str | None = None) -> Reader:
        """From behind the event with this id, as far as that is still here; without one, from now on."""
        if last is None:
            return Reader(self, self._written)
        life, _, number = last.partition("-")
        if life != str(self._life) or not number.isdecimal():
            return Reader(self, self._oldest() - 1, "the last event is of an earlier life of Fairlead")
        place = min(int(number), self._written)
        missed = self._oldest() - 1 - place
        return Reader(self, max(place, self._oldest() - 1), _missed(missed) if missed > 0 else None)

    def _oldest(self) -> int:
        """The number of the first one that is kept, or of the next."""
        return self._written - len(self._ring) + 1


class Reader:
    """Reads one event after the other."""

    def __init__(self, log: EventLog, place: int, gap: str | None = None) -> None:
        self._log = log
        self._place = place
        """The number of the last one that was read."""

        self._gap = gap
        self._is_over = False

    async def next(self) -> Event | None:
        """The next one, whenever it comes; ``None``: it is of no use to go on.

        May be cancelled: what was not returned comes at the next call.
        """
        if self._is_over:
            return None
        if self._gap is not None:
            reason, self._gap = self._gap, None
            return self._said(reason)
        log = self._log
        while self._place == log._written:  # noqa: SLF001 - its own module
            await log._arrived.wait()  # noqa: SLF001
        oldest = log._oldest()  # noqa: SLF001
        if self._place + 1 < oldest:
            self._is_over = True
            return self._said(f"too slow: {_missed(oldest - 1 - self._place)}")
        self._place += 1
        return log._ring[self._place - oldest]  # noqa: SLF001

    def _said(self, reason: str) -> Event:
        return Event(kind=GAP, at_ms=self._log._now_ms(), details={"reason": reason})  # noqa: SLF001


def _missed(number: int) -> str:
    return "an event is no longer kept" if number == 1 else f"{number} events are no longer kept"
