"""When a name is asked for next, and what it stands for meanwhile. Pure: time is an argument, in seconds."""

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from fairlead.compile import Address
from fairlead.discover.answer import Answer

__all__ = ["LONGEST_BACKOFF", "Schedule"]

LONGEST_BACKOFF = 30.0
"""Seconds between two questions while none is answered: an outage of DNS is over soon after it ends."""


@dataclass(slots=True)
class _Name:
    due: float
    failures: int = 0
    settled: bool = False
    ipv4: tuple[Address, ...] = ()
    ipv6: tuple[Address, ...] = ()


class Schedule:
    """The names in use: what each stands for, and when it is due."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}
        self._min_ttl = 1.0
        self._max_ttl = 300.0

    def use(self, names: Iterable[str], now: float, *, min_ttl: float, max_ttl: float) -> None:
        """Set the names in use. New ones are due at once; known ones keep their answer and their time."""
        self._min_ttl, self._max_ttl = min_ttl, max_ttl
        self._names = {name: self._names.get(name) or _Name(now) for name in names}

    def due(self, now: float) -> list[str]:
        """The names to ask for now."""
        return [name for name, each in self._names.items() if each.due <= now]

    def names(self) -> Collection[str]:
        """The names in use."""
        return self._names.keys()

    def next_due(self, besides: Container[str] = ()) -> float | None:
        """When the next name is due, but for some; ``None`` if there is none."""
        return min((each.due for name, each in self._names.items() if name not in besides), default=None)

    def answered(self, name: str, answer: Answer, now: float) -> bool:
        """Take an answer; whether the name now stands for something else."""
        each = self._names.get(name)
        if each is None:
            return False
        before = (each.ipv4, each.ipv6)
        # A family that could not be asked keeps what it had: half an outage takes no backend away.
        if answer.ipv4 is not None:
            each.ipv4 = _in_order(answer.ipv4)
        if answer.ipv6 is not None:
            each.ipv6 = _in_order(answer.ipv6)
        each.failures, each.settled = 0, True
        each.due = now + min(max(answer.ttl, self._min_ttl), self._max_ttl)
        return before != (each.ipv4, each.ipv6)

    def failed(self, name: str, now: float) -> None:
        """Note that a name could not be resolved: its last addresses stand, the next question comes later."""
        each = self._names.get(name)
        if each is None:
            return
        # 2 ** 16 is far beyond the longest; without a bound the power would grow for ever.
        wait = max(self._min_ttl, 1.0) * 2 ** min(each.failures, 16)
        each.failures += 1
        each.settled = True
        each.due = now + min(wait, max(LONGEST_BACKOFF, self._min_ttl), max(self._max_ttl, 1.0))

    def addresses(self, name: str) -> tuple[Address, ...]:
        """What a name stands for at the moment, IPv4 first, in a fixed order."""
        each = self._names.get(name)
        return each.ipv4 + each.ipv6 if each else ()

    def settled(self, names: Iterable[str]) -> bool:
        """Whether each of these names has been asked for once."""
        return all(self._names[name].settled for name in names)


def _in_order(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    # Servers rotate their answers; the same set in another order is no change.
    return tuple(sorted(set(addresses), key=int))
