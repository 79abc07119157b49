"""What stands in the cells of a table: `status` and `top` show the same in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from fairlead.model.stats import BackendStats

_STATE_STYLES = {"up": "green", "serving": "green", "degraded": "yellow", "draining": "yellow"}

_WELL = {"nothing is against it"}
"""Reasons that say nothing an operator would ask about."""


def table(*columns: str) -> Table:
    """Columns by their titles; those that begin with ``>`` are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in columns:
        number = title.startswith(">")
        table.add_column(title.removeprefix(">"), justify="right" if number else "left", no_wrap=True)
    return table


def state(name: str) -> str:
    """A state in its colour."""
    return f"[{_STATE_STYLES.get(name, 'red')}]{name}[/]"


def weight(backend: BackendStats) -> str:
    """Its weight, and how much of it counts now."""
    is_whole = backend.share >= 1.0 or backend.state not in {"up", "degraded"}
    return str(backend.weight) if is_whole else f"{backend.share:.0%} of {backend.weight}"


def why(backend: BackendStats, now_ms: int) -> str:
    """What there is to know about its state: who or what made it so, since when, and what will come."""
    operator = backend.operator
    parts: list[str] = []
    if operator is not None and operator.mode != "none":
        by = "drained by an operator" if operator.mode == "drain" else "disabled by an operator"
        parts.append(_draining(by, backend, now_ms))
    elif backend.state == "draining":
        parts.append(_draining("left the configuration", backend, now_ms))
    elif backend.reason is not None and backend.reason not in _WELL:
        parts.append(escape(backend.reason))
    if parts and backend.since_ms is not None:
        parts.append(f"for {age((now_ms - backend.since_ms) / 1000)}")
    if backend.breaker != "closed":
        parts.append("breaker open" if backend.breaker == "open" else "breaker tries it again")
    if operator is not None and operator.weight is not None:
        parts.append("weight by an operator")
    return ", ".join(parts)


def _draining(by: str, backend: BackendStats, now_ms: int) -> str:
    left = (backend.deadline_ms or 0) - now_ms
    if left <= 0 or not backend.in_flight:
        return by
    return f"{by}: {backend.in_flight:,} open, cut in {left / 1000:.0f} s"


def is_unwell(backend: BackendStats) -> bool:
    """Whether it is not simply up, or an operator has said something of it."""
    is_well = backend.state == "up" and backend.share >= 1.0 and backend.breaker == "closed"
    return not is_well or backend.operator is not None


def failures(backend: BackendStats) -> int:
    """Tries that ended without an answer."""
    return backend.connect_failures + backend.resets + backend.timeouts


def milliseconds(value: float | None) -> str:
    """A latency."""
    return "-" if value is None else f"{value:.1f} ms"


def age(seconds: float) -> str:
    """A stretch of time, in its largest unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
