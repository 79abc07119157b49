"""The screen of `top`: two lines about Fairlead itself, a table of listeners, a table of backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.text import Text

from fairlead.cli import cells

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.table import Table

    from fairlead.cli.top.rates import BackendRow, Flow, Rates
    from fairlead.model.status import Status

_AROUND = 5
"""Lines that are neither a listener nor a backend: two of the head, two of titles, one between."""


def picture(status: Status, rates: Rates, lines: int | None = None) -> RenderableType:
    """The screen; of more backends than its lines can show, those that are not well and the busiest."""
    left = None if lines is None else max(lines - _AROUND - len(rates.listeners), 1)
    return Group(
        Text.from_markup(_first(status)),
        Text.from_markup(_second(status, rates)),
        listeners(rates),
        "",
        backends(rates, left),
    )


def listeners(rates: Rates) -> Table:
    """A row for each."""
    table = cells.table("listener", "state", ">open", ">req/s", ">err/s", ">mean")
    for row in rates.listeners:
        table.add_row(escape(row.listener), cells.state(row.state), f"{row.connections:,}", *_flow(row.flow))
    return table


def backends(rates: Rates, most: int | None) -> Table:
    """A row for each, in the order of the configuration unless there are too many."""
    table = cells.table(
        "pool", "backend", "state", ">weight", ">active", ">req/s", ">err/s", ">mean", ">share", ""
    )
    rows: Iterable[BackendRow] = rates.backends
    hidden = 0
    if most is not None and len(rates.backends) > most:
        rows = sorted(rates.backends, key=_urgency)[: most - 1]
        hidden = len(rates.backends) - len(rows)
    last = None
    for row in rows:
        table.add_row(
            escape(row.pool) if row.pool != last else "",
            escape(row.backend),
            cells.state(row.state),
            row.weight,
            f"{row.active:,}",
            *_flow(row.flow),
            "-" if row.share is None else f"{row.share:.1%}",
            row.why,
        )
        last = row.pool
    if hidden:
        table.add_row("", f"… {hidden:,} more")
    return table


def _first(status: Status) -> str:
    well = "[green]ready[/]" if status.ready else f"[yellow]{status.phase}[/]"
    plan = f"plan {status.plan.version} of {status.plan.source}" if status.plan else "no plan yet"
    return f"Fairlead {status.version}  {well}  {escape(plan)}  control {status.pid}"


def _second(status: Status, rates: Rates) -> str:
    if (engine := status.engine) is None:
        return "[red]no engine process: it is being started[/]"
    cpu = "-" if rates.cpu is None else f"{rates.cpu:.0%}"
    requests, errors, mean = _flow(rates.flow)
    return (
        f"engine {engine.pid}  cpu {cpu}  {rates.rss_bytes / 2**20:.0f} MiB  "
        f"{rates.connections:,} connections  {requests} req/s  {errors} err/s  mean {mean}"
    )


def _flow(flow: Flow | None) -> tuple[str, str, str]:
    if flow is None:
        return "-", "-", "-"
    errors = _rate(flow.errors_per_second)
    return (
        _rate(flow.requests_per_second),
        f"[red]{errors}[/]" if flow.errors_per_second else errors,
        cells.milliseconds(flow.mean_ms),
    )


def _rate(value: float) -> str:
    # Below ten a whole number would hide whether anything goes on at all.
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"  # noqa: PLR2004


def _urgency(row: BackendRow) -> tuple[bool, float]:
    return (not row.is_unwell, -row.flow.requests_per_second if row.flow else 0.0)
