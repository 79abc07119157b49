"""One HTML page about a simulation, with everything in it: nothing is loaded from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.simulate.chart import Band, Frame, Line, heat, lines
from fairlead.simulate.figures import COLUMNS, best, hottest, told, verdicts
from fairlead.simulate.style import STYLE
from fairlead.simulate.svg import element, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.simulate.outcome import Outcome
    from fairlead.simulate.preparation import Prepared
    from fairlead.simulate.reading import Read

__all__ = ["page"]

_SHOWN_EVENTS = 40
_SHOWN_BACKENDS = 60


def page(read: Read, prepared: Prepared, outcomes: Sequence[Outcome], *, source: str, command: str) -> str:
    """Write the page of a run."""
    seconds = len(_came(outcomes[0])) * prepared.scenario["bucket_ms"] / 1000
    frame = Frame(seconds, _bands(prepared, read, seconds), _times(outcomes))
    body = [
        element("h1", text(read.scenario.title)),
        element("p", text(read.scenario.about.strip()), class_="about"),
        element("p", text(_facts(prepared, outcomes, source)), class_="facts"),
        _table(outcomes),
        element("h2", text("p99 latency")),
        _legend([outcome.algorithm for outcome in outcomes]),
        _over_time("p99 latency by algorithm", _each(outcomes, "p99"), frame),
    ]
    if any(outcome.report.failed for outcome in outcomes):
        body += [
            element("h2", text("Failed requests")),
            _figure(lines("failed requests by algorithm", _each(outcomes, "failed"), frame, unit="/s")),
        ]
    body += [_section(outcome, place, frame) for place, outcome in enumerate(outcomes)]
    body.append(element("footer", element("p", text("Made by "), element("code", text(command)))))
    return (
        "<!DOCTYPE html>\n"
        + element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("title", text(f"{read.scenario.title} · Fairlead simulation")),
                element("style", STYLE),
            ),
            element("body", element("main", *body)),
            lang="en",
        )
        + "\n"
    )


def _facts(prepared: Prepared, outcomes: Sequence[Outcome], source: str) -> str:
    requests = outcomes[0].report.requests
    return (
        f"Pool {prepared.pool} of {source}: {len(prepared.ids)} backends, {requests:,} requests, "
        f"{prepared.per_second:,.0f} a second at first. Latency is of requests that were answered well, from "
        "their arrival on, further tries and waits included."
    )


def _times(outcomes: Sequence[Outcome]) -> tuple[float, float] | None:
    """The span of all latencies that are drawn."""
    series = [outcome.report.series for outcome in outcomes]
    found = [value for each in series for value in (*each.p50, *each.p99) if value]
    return (min(found), max(found)) if found else None


def _over_time(title: str, drawn: Sequence[Line], frame: Frame) -> str:
    """Latencies: what a fault makes of them is a matter of powers of ten."""
    return _figure(lines(title, drawn, frame, unit="ms", logarithmic=True))


def _figure(svg: str) -> str:
    return element("figure", svg)


def _legend(names: Sequence[str]) -> str:
    keys = (
        element("li", element("span", " ", class_=f"key k{place}"), text(name))
        for place, name in enumerate(names)
    )
    return element("ul", *keys, class_="legend")


def _each(outcomes: Sequence[Outcome], figure: str) -> list[Line]:
    drawn = []
    for place, outcome in enumerate(outcomes):
        series = outcome.report.series
        values = series.p99 if figure == "p99" else _a_second(series.failed, series.bucket_ms)
        drawn.append(Line(outcome.algorithm, _within(outcome, values), place))
    return drawn


def _within(outcome: Outcome, values: Sequence[float | None]) -> Sequence[float | None]:
    """While requests came: what ended later has no place on the axis."""
    return values[: len(_came(outcome))]


def _came(outcome: Outcome) -> Sequence[int]:
    requests = outcome.report.series.requests
    last = max((place for place, count in enumerate(requests) if count), default=0)
    return requests[: last + 1]


def _a_second(counts: Sequence[int], bucket_ms: int) -> list[float | None]:
    return [count * 1000 / bucket_ms for count in counts]


def _table(outcomes: Sequence[Outcome]) -> str:
    wins = best(outcomes)
    head = element(
        "tr", element("th", text("algorithm")), *(element("th", text(column)) for column in COLUMNS)
    )
    rows = []
    for place, outcome in enumerate(outcomes):
        name = outcome.algorithm + (" (as configured)" if outcome.configured else "")
        cells = (
            element("td", text(cell), class_="best" if place in wins[column] else None)
            for column, cell in zip(COLUMNS, told(outcome), strict=True)
        )
        rows.append(
            element("tr", element("th", element("span", " ", class_=f"key k{place}"), text(name)), *cells)
        )
    return element("div", element("table", element("thead", head), element("tbody", *rows)), class_="wide")


def _section(outcome: Outcome, place: int, frame: Frame) -> str:
    series = outcome.report.series
    drawn = [
        Line("p99", _within(outcome, series.p99), place),
        Line("p50", _within(outcome, series.p50), place, faint=True),
    ]
    came = len(_came(outcome))
    rows = [
        (backend.id, counts[:came])
        for backend, counts in zip(outcome.report.backends, series.backends, strict=True)
    ]
    shown = rows[:_SHOWN_BACKENDS]
    more = f"; the first {len(shown)} of {len(rows)}" if len(shown) < len(rows) else ""
    return element(
        "section",
        element("h2", element("span", " ", class_=f"key k{place}"), text(outcome.algorithm)),
        element("h3", text("Latency: p99, and p50 beneath it")),
        _over_time(f"latency with {outcome.algorithm}", drawn, frame),
        element("h3", text(f"Load of each backend{more}")),
        _figure(heat(f"load of backends with {outcome.algorithm}", shown, frame)),
        element("p", text(hottest(outcome)), class_="facts"),
        _events(outcome),
    )


def _events(outcome: Outcome) -> str:
    lines_told = verdicts(outcome)
    if not lines_told:
        return element("p", text("No backend's state changed."), class_="facts")
    shown = [element("li", text(line)) for line in lines_told[:_SHOWN_EVENTS]]
    if len(lines_told) > _SHOWN_EVENTS:
        shown.append(element("li", text(f"and {len(lines_told) - _SHOWN_EVENTS} more")))
    count = f"{len(lines_told)} changes of state" if len(lines_told) > 1 else "1 change of state"
    return element("details", element("summary", text(count)), element("ul", *shown, class_="events"))


def _bands(prepared: Prepared, read: Read, seconds: float) -> tuple[Band, ...]:
    found = []
    for effect, event in zip(prepared.scenario["effects"], read.scenario.events, strict=True):
        ends = seconds if effect["until_ms"] is None else effect["until_ms"] / 1000
        kind = effect["what"] if isinstance(effect["what"], str) else next(iter(effect["what"]))
        if kind in {"join", "leave"}:
            ends = effect["from_ms"] / 1000
        whom = len(effect["servers"])
        name = event.what if isinstance(event.what, str) else kind.replace("_", " ")
        found.append(Band(f"{name} ({whom})", effect["from_ms"] / 1000, ends))
    return tuple(sorted(found, key=lambda band: band.begins))
