"""How many requests come, and which backends are meant: values that only scenarios have."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator

from fairlead.errors import UnitError
from fairlead.model.value import refuse
from fairlead.units import Rate, Share

__all__ = ["All", "Amount", "Count", "Factor", "InZone", "Load", "Named", "Part", "Selection"]


@dataclass(frozen=True, slots=True)
class Load:
    """As many requests as keep this part of what all backends can serve busy; above 1 they cannot."""

    fraction: float

    def __str__(self) -> str:
        return f"{self.fraction:.0%}"


_LOAD = re.compile(r"(0|[1-9][0-9]{0,3})(\.[0-9]+)?%", re.ASCII)


def _amount(value: object) -> Load | Rate:
    if isinstance(value, (Load, Rate)):
        return value
    if isinstance(value, str):
        if _LOAD.fullmatch(value):
            return Load(float(value[:-1]) / 100)
        try:
            return Rate.parse(value)
        except UnitError:
            pass
    message = "how many requests come is a rate, such as 500/s, or a part of what backends can serve, as 60%"
    raise refuse(message)


Amount = Annotated[Load | Rate, PlainValidator(_amount)]
"""``500/s``, or ``60%`` of what all backends can serve."""

_MOST_FACTOR = 10_000


def _factor(value: object) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 1 / _MOST_FACTOR <= value <= _MOST_FACTOR:  # type: ignore[operator]
        message = f"a number of times is expected, up to {_MOST_FACTOR}, such as 5"
        raise refuse(message)
    return float(value)  # type: ignore[arg-type]


Factor = Annotated[float, PlainValidator(_factor)]
"""How many times as long something takes."""


@dataclass(frozen=True, slots=True)
class Count:
    """So many, from the first of the pool on."""

    number: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the pool, one backend at least, from the first on."""

    share: Share


@dataclass(frozen=True, slots=True)
class All:
    """Every backend."""


@dataclass(frozen=True, slots=True)
class Named:
    """These, by id."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InZone:
    """Those in a zone; in a pool without it the last third, as good as a zone."""

    zone: str


_NOUNS = "all, a number, a share such as 20%, a list of ids, or {zone: NAME}"


def _selection(value: object) -> Any:  # noqa: ANN401 - one of the five
    match value:
        case All() | Count() | Part() | Named() | InZone():
            return value
        case "all":
            return All()
        case bool():
            pass
        case int() if value > 0:
            return Count(value)
        case str() if value.endswith("%"):
            try:
                return Part(Share.parse(value))
            except UnitError as error:
                raise refuse(str(error)) from None
        case [*ids] if ids and all(isinstance(each, str) for each in ids):
            return Named(tuple(str(each) for each in ids))
        case {"zone": str(zone), **rest} if not rest:
            return InZone(zone)
    message = f"which backends are meant: {_NOUNS}"
    raise refuse(message)


Selection = Annotated[All | Count | Part | Named | InZone, PlainValidator(_selection)]


def selected(
    selection: All | Count | Part | Named | InZone, backends: Sequence[tuple[str, str | None]]
) -> list[int]:
    """The places of the backends that are meant, of a pool's ids and zones.

    Raises:
        UnitError: the pool has no such backend.
    """
    whole = len(backends)
    match selection:
        case All():
            return list(range(whole))
        case Count(number):
            return list(range(min(number, whole)))
        case Part(share):
            return list(range(max(1, round(share.fraction * whole))))
        case InZone(zone):
            there = [place for place, (_, each) in enumerate(backends) if each == zone]
            return there or list(range(whole - max(1, whole // 3), whole))
        case Named(ids):
            places = {each: place for place, (each, _) in enumerate(backends)}
            missing = [each for each in ids if each not in places]
            if missing:
                message = f"the pool has no backend {', '.join(missing)}"
                raise UnitError(message)
            return [places[each] for each in ids]
