"""Durations, sizes, rates and shares: parsed once, from text that says its unit.

A bare number is refused where a unit is needed, because ``timeout: 10`` has meant seconds, milliseconds and
minutes in other programs. Each type is immutable, compares by quantity and prints as it may be written.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fairlead.errors import UnitError

__all__ = ["Duration", "Rate", "Share", "Size"]

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_MAX = 2**63 - 1
"""The engine counts milliseconds and bytes in 64 bits."""


class _Quantity:
    """What the four have in common: how pydantic reads one, and how its schema looks."""

    PATTERN: ClassVar[str]
    NOUN: ClassVar[str]
    EXAMPLES: ClassVar[tuple[str, ...]]
    ADVICE: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text, or raise UnitError."""
        raise NotImplementedError

    @classmethod
    def read(cls, value: object) -> Self:
        """Take an instance or a text; refuse the rest, saying what to write."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        raise UnitError(cls.expected(value))

    @classmethod
    def expected(cls, value: object) -> str:
        """Say what should stand in the place of a value that is no text."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value < 0:
                return f"a {cls.NOUN} is never negative"
            return f"a {cls.NOUN} needs a unit: {cls.ADVICE.format(value)}"
        return f"a {cls.NOUN} is expected, such as {_either(cls.EXAMPLES)}"

    @classmethod
    def written(cls) -> CoreSchema:
        """What an editor may expect to find in the file."""
        return core_schema.str_schema(pattern=cls.PATTERN)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: object) -> _Quantity:
            try:
                return cls.read(value)
            except UnitError as error:
                kind = "unit"
                raise PydanticCustomError(kind, "{reason}", {"reason": str(error)}) from None

        return core_schema.no_info_plain_validator_function(
            validate,
            json_schema_input_schema=cls.written(),
            serialization=core_schema.to_string_ser_schema(),
            metadata={"pydantic_js_updates": {"examples": list(cls.EXAMPLES)}},
        )


@dataclass(frozen=True, slots=True, order=True)
class Duration(_Quantity):
    """A length of time, in whole milliseconds."""

    milliseconds: int

    PATTERN: ClassVar[str] = rf"^{_NUMBER}(ms|s|m|h)$"
    NOUN: ClassVar[str] = "duration"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("500ms", "10s", "5m", "1h")
    ADVICE: ClassVar[str] = "write {}s"
    _UNITS: ClassVar[dict[str, int]] = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``500ms``, ``10s``, ``1.5m`` or ``1h``.

        Raises:
            UnitError: if it is none of these, or no whole number of milliseconds.
        """
        return cls(_counted(cls, text, cls._UNITS, "milliseconds"))

    @property
    def seconds(self) -> float:
        """The length in seconds, for asyncio's and the operating system's functions."""
        return self.milliseconds / 1000

    def __str__(self) -> str:
        return _shortest(self.milliseconds, self._UNITS, "0s")


@dataclass(frozen=True, slots=True, order=True)
class Size(_Quantity):
    """An amount of memory or data, in whole bytes. ``KiB`` is 1,024 bytes, ``KB`` 1,000."""

    bytes: int

    PATTERN: ClassVar[str] = rf"^{_NUMBER}(B|[KMGT]iB|[kKMGT]B)$"
    NOUN: ClassVar[str] = "size"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("64KiB", "1MiB", "10MB")
    ADVICE: ClassVar[str] = "write {}B, or a multiple such as 64KiB or 10MB"
    _UNITS: ClassVar[dict[str, int]] = {
        "TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10,
        "TB": 10**12, "GB": 10**9, "MB": 10**6, "KB": 10**3, "kB": 10**3, "B": 1,
    }  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``64KiB``, ``10MB`` or ``512B``.

        Raises:
            UnitError: if it is none of these, or no whole number of bytes.
        """
        return cls(_counted(cls, text, cls._UNITS, "bytes"))

    def __str__(self) -> str:
        return _shortest(self.bytes, self._UNITS, "0B")


@dataclass(frozen=True, slots=True)
class Rate(_Quantity):
    """So many in a period: ``100/s``, ``6000/m``. Equal only if written with the same period."""

    count: int
    period: str

    PATTERN: ClassVar[str] = r"^[1-9][0-9]*/(s|m|h)$"
    NOUN: ClassVar[str] = "rate"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("100/s", "6000/m")
    ADVICE: ClassVar[str] = "write {0}/s or {0}/m"
    _SECONDS: ClassVar[dict[str, int]] = {"s": 1, "m": 60, "h": 3600}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``100/s``, ``6000/m`` or ``10/h``.

        Raises:
            UnitError: if it is none of these.
        """
        if not re.fullmatch(cls.PATTERN, text, re.ASCII):
            raise UnitError(_refusal(cls, text))
        count, _, period = text.partition("/")
        if int(count) > _MAX:
            message = f'"{text}" is too large'
            raise UnitError(message)
        return cls(int(count), period)

    @property
    def per_second(self) -> Fraction:
        """The exact number in a second."""
        return Fraction(self.count, self._SECONDS[self.period])

    def __str__(self) -> str:
        return f"{self.count}/{self.period}"


@dataclass(frozen=True, slots=True, order=True)
class Share(_Quantity):
    """A part of a whole, from 0 to 1: ``5%`` or a number below 1."""

    fraction: float

    PATTERN: ClassVar[str] = rf"^{_NUMBER}%$"
    NOUN: ClassVar[str] = "share"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("5%", "0.05")
    ADVICE: ClassVar[str] = "write {}%"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``5%`` or ``0.05``.

        Raises:
            UnitError: if it is neither, or not from 0 to 100 %.
        """
        if re.fullmatch(_NUMBER, text, re.ASCII):
            return cls.read(int(text) if text.isdigit() else float(text))
        if not re.fullmatch(cls.PATTERN, text, re.ASCII):
            raise UnitError(_refusal(cls, text))
        fraction = float(Decimal(text[:-1]) / 100)
        if fraction > 1:
            message = f'"{text}" is more than the whole: a share is from 0% to 100%'
            raise UnitError(message)
        return cls(fraction)

    @classmethod
    def read(cls, value: object) -> Self:
        """Take an instance, a text or a number from 0 to below 1."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # 1 could be meant as 1 % or as the whole: it has to be said.
            if 0 <= value < 1:
                return cls(float(value))
            if not 0 <= value <= 100:  # noqa: PLR2004 - a percentage
                message = f"{value} is out of range: a share is from 0% to 100%"
                raise UnitError(message)
            advice = cls.ADVICE.format(100 if value == 1 else value)
            message = f"a share is a percentage or a number below 1: {advice}"
            raise UnitError(message)
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        raise UnitError(cls.expected(value))

    @classmethod
    def written(cls) -> CoreSchema:
        """A percentage, or a number below 1."""
        number = core_schema.float_schema(ge=0, lt=1)
        return core_schema.union_schema([core_schema.str_schema(pattern=cls.PATTERN), number])

    def __str__(self) -> str:
        percent = f"{Decimal(repr(self.fraction)) * 100:f}"
        return (percent.rstrip("0").rstrip(".") if "." in percent else percent) + "%"


_TEXT = re.compile(rf"({_NUMBER})([A-Za-z]+)", re.ASCII)


def _counted(kind: type[_Quantity], text: str, units: dict[str, int], unit: str) -> int:
    """How many of the smallest unit a number with a unit is."""
    match = _TEXT.fullmatch(text)
    if match is None or match[2] not in units:
        raise UnitError(_refusal(kind, text))
    return _whole(Decimal(match[1]) * units[match[2]], text, unit)


def _whole(amount: Decimal, text: str, unit: str) -> int:
    if amount != amount.to_integral_value():
        message = f'"{text}" is no whole number of {unit}'
        raise UnitError(message)
    if amount > _MAX:
        message = f'"{text}" is too large'
        raise UnitError(message)
    return int(amount)


def _refusal(kind: type[_Quantity], text: str) -> str:
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return f'"{text}" needs a unit: {kind.ADVICE.format(text)}'
    return f'"{text}" is no {kind.NOUN}: write it as {_either(kind.EXAMPLES)}'


def _either(examples: tuple[str, ...]) -> str:
    return " or ".join((", ".join(examples[:-1]), examples[-1]))


def _shortest(amount: int, units: dict[str, int], zero: str) -> str:
    if amount == 0:
        return zero
    unit = next(name for name, size in units.items() if amount % size == 0)
    return f"{amount // units[unit]}{unit}"
