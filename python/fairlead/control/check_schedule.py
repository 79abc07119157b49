"""When each program that checks a backend is due. Pure: time is an argument, in seconds.

The rules are those of the engine's own checks: the first at once, the next ones on a grid of the check's own,
so that checks which began together spread over their interval, and a reload leaves alone what it does not
change.
"""

from collections.abc import Collection
from dataclasses import dataclass
from zlib import crc32

__all__ = ["Key", "Pace", "Schedule"]

Key = tuple[str, str]
"""A pool's name and a backend's id."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a check is made, in seconds."""

    interval: float
    fast_interval: float
    """While a state is changing."""


@dataclass(slots=True)
class _Entry:
    definition: object
    pace: Pace
    due: float | None
    """``None`` while it is being made."""


class Schedule:
    """The checks, and what is due next."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}

    def set(self, key: Key, definition: object, pace: Pace, now: float) -> None:
        """Have a backend checked so: at once if that is new, else it goes on, never later than before."""
        entry = self._entries.get(key)
        if entry is None or entry.definition != definition:
            self._entries[key] = _Entry(definition, pace, now)
            return
        if entry.pace != pace and entry.due is not None:
            entry.due = min(entry.due, now + _until_next(key, pace, now))
        entry.pace = pace

    def retain(self, keys: Collection[Key]) -> None:
        """Check these and no others."""
        self._entries = {key: each for key, each in self._entries.items() if key in keys}

    def hurry(self, now: float) -> None:
        """Check all at once."""
        for entry in self._entries.values():
            if entry.due is not None:
                entry.due = now

    def next_due(self) -> float | None:
        """When the next one is due; ``None`` if there is none."""
        return min((each.due for each in self._entries.values() if each.due is not None), default=None)

    def take(self, now: float) -> tuple[Key, object] | None:
        """The one that has been due for longest, and its definition; it isn't due again before it is done."""
        due = [(each.due, key) for key, each in self._entries.items() if each.due is not None]
        when, key = min(due, default=(None, None))
        if when is None or key is None or when > now:
            return None
        self._entries[key].due = None
        return key, self._entries[key].definition

    def done(self, key: Key, definition: object, now: float, *, changing: bool) -> None:
        """The check that was taken is made; nothing if it has gone or changed meanwhile."""
        entry = self._entries.get(key)
        if entry is None or entry.definition != definition or entry.due is not None:
            return
        pace = entry.pace
        wait = min(pace.fast_interval, pace.interval) if changing else _until_next(key, pace, now)
        entry.due = now + wait

    def is_current(self, key: Key, definition: object) -> bool:
        """Whether a backend is checked so now."""
        entry = self._entries.get(key)
        return entry is not None and entry.definition == definition


def _until_next(key: Key, pace: Pace, now: float) -> float:
    """Seconds to the next point of the grid; at most the interval."""
    phase = crc32("/".join(key).encode()) / 2**32 * pace.interval
    return pace.interval - (now - phase) % pace.interval
