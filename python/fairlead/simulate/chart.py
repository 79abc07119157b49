"""Charts as SVG: figures over time, and the load of backends over time. Colours are the page's."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fairlead.simulate.svg import element, number, text

__all__ = ["Band", "Frame", "Line", "heat", "lines"]

WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 22, 26
_HEIGHT = 250
_ROW, _GAP = 16, 1
_STEPS = 8
"""Shades of a load."""


@dataclass(frozen=True, slots=True)
class Line:
    """Values over time; ``colour`` is a number of the page's palette."""

    name: str
    values: Sequence[float | None]
    colour: int
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which something happens."""

    name: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The time that is drawn, and what happens in it."""

    seconds: float
    bands: tuple[Band, ...] = ()
    times: tuple[float, float] | None = None
    """The least and the longest latency of all charts: on one scale they can be compared."""


_MOST_TICKS = 12
_STRIDES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 86400)
_DECADES = 3
"""Beyond so many, a logarithmic scale has room for powers of ten alone."""


@dataclass(frozen=True, slots=True)
class _Time:
    """Seconds to places."""

    seconds: float

    def x(self, second: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(max(second / self.seconds, 0.0), 1.0)

    def ticks(self) -> Iterator[float]:
        fits = (each for each in _STRIDES if self.seconds / each <= _MOST_TICKS)
        step = next(fits, _STRIDES[-1])
        second = 0
        while second <= self.seconds:
            yield second
            second += step


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values to places."""

    least: float
    most: float
    logarithmic: bool

    def y(self, value: float) -> float:
        if self.logarithmic:
            part = math.log(max(value, self.least) / self.least) / math.log(self.most / self.least)
        else:
            part = (value - self.least) / (self.most - self.least)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(max(part, 0.0), 1.0)

    def ticks(self) -> Iterator[float]:
        if self.logarithmic:
            digits = (1,) if self.most / self.least > 10**_DECADES else (1, 2, 5)
            for power in range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1):
                for digit in digits:
                    value = digit * 10.0**power
                    if self.least <= value <= self.most * 1.0001:
                        yield value
            return
        step = _nice(self.most / 4)
        for count in range(int(self.most / step + 1e-9) + 1):
            yield count * step


def lines(title: str, drawn: Sequence[Line], frame: Frame, *, unit: str, logarithmic: bool = False) -> str:
    """Draw lines over time, each value in the middle of its part of it."""
    values = [value for line in drawn for value in line.values if value]
    scale = _logarithmic(frame.times or _span(values)) if logarithmic else _linear(values)
    time = _Time(frame.seconds)
    parts = [*_bands(time, frame.bands, _HEIGHT - _BOTTOM), *_grid(time, scale, unit)]
    parts += [_path(line, time, scale) for line in sorted(drawn, key=lambda each: not each.faint)]
    return _svg(title, _HEIGHT, parts)


def heat(title: str, rows: Sequence[tuple[str, Sequence[int]]], frame: Frame) -> str:
    """Draw a row for each backend, the darker the more requests it has."""
    bottom = _TOP + (_ROW + _GAP) * len(rows)
    time = _Time(frame.seconds)
    most = max((max(values, default=0) for _, values in rows), default=0) or 1
    parts: list[str] = []
    for place, (name, values) in enumerate(rows):
        parts += _row(name, values, _TOP + (_ROW + _GAP) * place, time, most)
    parts += _bands(time, frame.bands, _TOP - 2, _TOP - 6)
    parts += [
        element("text", text(_clock(second)), x=time.x(second), y=bottom + 14.0, class_="tick middle")
        for second in time.ticks()
    ]
    return _svg(title, bottom + _BOTTOM, parts)


def _row(name: str, values: Sequence[int], top: int, time: _Time, most: int) -> Iterator[str]:
    yield element("text", text(_short(name)), x=_LEFT - 6.0, y=top + _ROW - 4.0, class_="tick end")
    width = time.seconds / max(len(values), 1)
    begins = 0
    # Neighbours of one shade are one rectangle: most pages are long.
    for shade, run in groupby(math.ceil(_STEPS * value / most) for value in values):
        length = len(list(run))
        left, right = time.x(begins * width), time.x((begins + length) * width)
        if shade:
            yield element(
                "rect", x=left, y=float(top), width=right - left, height=float(_ROW), class_=f"heat h{shade}"
            )
        begins += length


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    return element(
        "svg",
        element("title", text(title)),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
    )


def _bands(time: _Time, bands: Sequence[Band], bottom: int, top: int = _TOP) -> Iterator[str]:
    free = 0.0
    for band in bands:
        left, right = time.x(band.begins), time.x(band.ends)
        width = max(right - left, 1.0)
        yield element("rect", x=left, y=float(top), width=width, height=float(bottom - top), class_="band")
        # Where there is no room beside the one before, the colour has to do.
        if left >= free:
            yield element("text", text(band.name), x=left + 3, y=_TOP - 7.0, class_="tick event")
            free = left + 3 + 6.4 * len(band.name)


def _grid(time: _Time, scale: _Scale, unit: str) -> Iterator[str]:
    right = float(WIDTH - _RIGHT)
    for value in scale.ticks():
        y = scale.y(value)
        yield element("line", x1=float(_LEFT), x2=right, y1=y, y2=y, class_="grid")
        yield element("text", text(_said(value)), x=_LEFT - 6.0, y=y + 4, class_="tick end")
    yield element("text", text(unit), x=2.0, y=_TOP - 7.0, class_="tick")
    for second in time.ticks():
        yield element("text", text(_clock(second)), x=time.x(second), y=_HEIGHT - 8.0, class_="tick middle")


def _path(line: Line, time: _Time, scale: _Scale) -> str:
    width = time.seconds / max(len(line.values), 1)
    steps: list[str] = []
    lifted = True
    for place, value in enumerate(line.values):
        if value is None:
            lifted = True
            continue
        x, y = time.x((place + 0.5) * width), scale.y(value)
        steps.append(f"{'M' if lifted else 'L'}{number(x)} {number(y)}")
        lifted = False
    faint = " faint" if line.faint else ""
    return element(
        "path",
        element("title", text(line.name)),
        d="".join(steps) or "M0 0",
        class_=f"line c{line.colour}{faint}",
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    return min(values, default=1.0), max(values, default=1.0)


def _logarithmic(span: tuple[float, float]) -> _Scale:
    least, most = span
    below = 10.0 ** math.floor(math.log10(least))
    return _Scale(below, max(most * 1.1, below * 10), logarithmic=True)


def _linear(values: Sequence[float]) -> _Scale:
    return _Scale(0.0, _nice(max(values, default=1.0) * 1.02, up=True), logarithmic=False)


def _nice(value: float, *, up: bool = False) -> float:
    """A round number near a value, or not below it."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    digits = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if up else (1, 2, 2.5, 5, 10)
    return next(digit * power for digit in digits if digit * power >= value * (1 - 1e-9))


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"  # noqa: PLR2004 - two digits


def _clock(second: float) -> str:
    return f"{second:g} s"


def _short(name: str) -> str:
    most = 8
    return name if len(name) <= most else "…" + name[1 - most :]
