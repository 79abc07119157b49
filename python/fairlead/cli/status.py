"""``fairlead status``: what a running Fairlead serves, and how it fares."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairlead.admin.client import find
from fairlead.control.directory import defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.model.stats import BackendStats
    from fairlead.model.status import Status

_WIDTH = 160
"""Columns where there is no terminal to say how many it has: nothing is cut off."""

_STATE_STYLES = {"up": "green", "degraded": "yellow", "draining": "yellow"}


@click.command(name="status")
@click.option("--admin", metavar="ADDRESS", help="Its directory, a socket's path, HOST:PORT or a URL.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(admin: str | None, *, as_json: bool) -> None:
    """Show what a running Fairlead serves: listeners, pools, backends, and the last reload.

    It is found by --admin, else by FAIRLEAD_ADMIN, else in the default directory. Over TCP a token is
    taken from FAIRLEAD_TOKEN.

    \b
    Examples:
      fairlead status
      fairlead status --admin 127.0.0.1:9900 --json
    """  # noqa: D301 - click's mark for text that keeps its lines
    status = find(admin, defaults()).status()
    if as_json:
        click.echo(status.model_dump_json(indent=2))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for line in _head(status):
        console.print(line)
    console.print(listeners(status))
    console.print(pools(status))
    if any(pool.queue for pool in status.pools):
        console.print(queues(status))


def listeners(status: Status) -> Table:
    """A row for each address."""
    table = _table("listener", "state", "address", ">open", ">accepted", ">requests")
    for one in status.listeners:
        for bind in one.binds:
            counts = (f"{one.connections:,}", f"{one.accepted:,}", f"{one.requests:,}")
            table.add_row(escape(one.name), one.state, escape(bind.bound), *counts)
    return table


def pools(status: Status) -> Table:
    """A row for each backend."""
    table = _table(
        "pool",
        "backend",
        "state",
        ">weight",
        ">open",
        ">requests",
        ">share",
        ">5xx",
        ">failed",
        ">p50",
        ">p99",
    )
    for pool in status.pools:
        everything = sum(backend.requests for backend in pool.backends)
        for place, backend in enumerate(pool.backends):
            table.add_row(escape(pool.name) if place == 0 else "", *_backend(backend, everything))
    return table


def queues(status: Status) -> Table:
    """A row for each pool whose requests wait while every backend is full."""
    table = _table("queue of", ">waiting", ">served", ">timed out", ">refused")
    for pool in status.pools:
        if (queue := pool.queue) is not None:
            counts = (queue.waiting, queue.served, queue.timed_out, queue.refused)
            table.add_row(escape(pool.name), *(f"{count:,}" for count in counts))
    return table


def _head(status: Status) -> Iterator[str]:
    well = "[green]ready[/]" if status.ready else f"[yellow]{status.phase}[/]"
    plan = f"plan {status.plan.version} of {status.plan.source}" if status.plan else "no plan yet"
    yield f"Fairlead {status.version}  {well}  {escape(plan)}  control {status.pid}"
    if (engine := status.engine) is None:
        yield "[red]no engine process: it is being started[/]"
    else:
        age = _age(time.time() - engine.started_at_ms / 1000)
        restarts = f"  {engine.restarts} restarts" if engine.restarts else ""
        yield (
            f"engine {engine.pid}  up {age}{restarts}  {engine.workers} workers  "
            f"{engine.rss_bytes / 2**20:.0f} MiB  {status.totals.requests:,} requests  "
            f"{status.totals.connections:,} connections"
        )
    if status.reload is not None and not status.reload.accepted:
        yield "[red]the last reload was refused:[/]"
        yield from (f"  {escape(str(problem))}" for problem in status.reload.problems)


def _backend(backend: BackendStats, everything: int) -> tuple[str, ...]:
    failed = backend.connect_failures + backend.resets + backend.timeouts
    style = _STATE_STYLES.get(backend.state, "red")
    return (
        escape(backend.id),
        f"[{style}]{backend.state}[/]",
        str(backend.weight),
        f"{backend.in_flight:,}",
        f"{backend.requests:,}",
        f"{backend.requests / everything:.1%}" if everything else "-",
        f"{backend.codes.get('5xx', 0):,}",
        f"{failed:,}",
        _milliseconds(backend.latency_ms.p50),
        _milliseconds(backend.latency_ms.p99),
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _table(*columns: str) -> Table:
    """Columns by their titles; those that begin with ``>`` are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in columns:
        number = title.startswith(">")
        table.add_column(title.removeprefix(">"), justify="right" if number else "left", no_wrap=True)
    return table
