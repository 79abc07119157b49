"""The figures of outcomes, side by side: for the table of the command, of the page and of the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.simulate.outcome import Outcome

__all__ = ["COLUMNS", "best", "hottest", "told", "verdicts"]

COLUMNS = ("mean", "p50", "p90", "p99", "p99.9", "failed", "retries", "hottest")


def _values(outcome: Outcome) -> tuple[float | None, ...]:
    report, latency = outcome.report, outcome.report.latency
    answered = report.answered > 0
    return (
        latency.mean_ms if answered else None,
        latency.p50_ms,
        latency.p90_ms,
        latency.p99_ms,
        latency.p999_ms,
        report.failed,
        report.retries,
        max(backend.share for backend in report.backends) * len(report.backends),
    )


def told(outcome: Outcome) -> list[str]:
    """The cells of an outcome's row."""
    *times, failed, retries, hot = _values(outcome)
    share = outcome.report.failed / max(outcome.report.requests, 1)
    return [
        *(milliseconds(time) for time in times),
        f"{failed:,.0f} ({_percent(share)})" if failed else "0",
        f"{retries:,.0f}",
        f"×{hot:.2f}",  # noqa: RUF001 - times
    ]


def best(outcomes: Sequence[Outcome]) -> dict[str, frozenset[int]]:
    """Of each column, who is best: the lowest as it is shown. Where all are alike, nobody."""
    cells = [told(outcome) for outcome in outcomes]
    values = [_values(outcome) for outcome in outcomes]
    found = {}
    for column, name in enumerate(COLUMNS):
        known = [(value, place) for place, row in enumerate(values) if (value := row[column]) is not None]
        lowest = cells[min(known)[1]][column] if known else None
        first = frozenset(place for place, row in enumerate(cells) if row[column] == lowest)
        # How often was tried again, and who was hottest, is nobody's merit where failures differ.
        counts = len(first) < len(cells) and name not in {"retries", "hottest"}
        found[name] = first if counts else frozenset()
    return found


def milliseconds(value: float | None) -> str:
    """A time in three digits or so."""
    if value is None:
        return "-"
    if value >= 10_000:  # noqa: PLR2004 - from here on seconds say more
        return f"{value / 1000:,.1f} s"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"  # noqa: PLR2004 - three digits


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"  # noqa: PLR2004 - what has a digit to show


def hottest(outcome: Outcome) -> str:
    """Who had most, and what was in vain."""
    report = outcome.report
    most = max(report.backends, key=lambda backend: backend.share)
    least = min(report.backends, key=lambda backend: backend.share)
    wasted = sum(backend.wasted for backend in report.backends)
    said = (
        f"Most requests: {most.id} with {most.share:.1%}, its slots {most.busy:.0%} busy; "
        f"fewest: {least.id} with {least.share:.1%}."
    )
    return f"{said} {wasted:,} answers came when nobody waited for them any more." if wasted else said


def verdicts(outcome: Outcome) -> list[str]:
    """What became of backends, in words; what they were when all began is left out."""
    return [
        f"{change.at_ms / 1000:.1f} s: {change.backend} {change.from_} → {change.to} ({change.reason})"
        for change in outcome.report.events
        if change.at_ms > 0
    ]
