"""``fairlead status``: what a running Fairlead serves, and how it fares."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from fairlead.admin.client import find
from fairlead.cli import cells
from fairlead.control.directory import defaults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from fairlead.model.stats import BackendStats, PoolStats
    from fairlead.model.status import Status

_WIDTH = 200
"""Columns where there is no terminal to say how many it has: nothing is cut off."""

SHOWN = 32
"""Backends of a pool that are listed one by one; of a larger one only those that are not well."""


@click.command(name="status")
@click.option("--admin", metavar="ADDRESS", help="Its directory, a socket's path, HOST:PORT or a URL.")
@click.option("--all", "everything", is_flag=True, help="List every backend, also of large pools.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(admin: str | None, *, everything: bool, as_json: bool) -> None:
    """Show what a running Fairlead serves: listeners, pools, backends, and the last reload.

    Of a pool with more than 32 backends it shows the sum and those that are not well. It is found by
    --admin, else by FAIRLEAD_ADMIN, else in the default directory. Over TCP a token is taken from
    FAIRLEAD_TOKEN.

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
    for line in head(status):
        console.print(line)
    console.print(listeners(status))
    console.print(pools(status, time.time_ns() // 1_000_000, everything=everything))
    if any(pool.queue for pool in status.pools):
        console.print(queues(status))
    if any(pool.affinity for pool in status.pools):
        console.print(clients(status))


def listeners(status: Status) -> Table:
    """A row for each address; what is counted for the listener stands in its first."""
    table = cells.table("listener", "state", "address", ">open", ">accepted", ">requests", ">5xx")
    for one in status.listeners:
        counts = (
            f"{one.connections:,}",
            f"{one.accepted:,}",
            f"{one.served:,}",
            f"{one.failed:,}",
        )
        for place, bind in enumerate(one.binds):
            first = (escape(one.name), cells.state(one.state)) if place == 0 else ("", "")
            table.add_row(*first, escape(bind.bound), *(counts if place == 0 else ()))
    return table


def pools(status: Status, now_ms: int, *, everything: bool = False) -> Table:
    """A row for each backend, or, for a large pool, the sum and those that are not well."""
    table = cells.table(
        *("pool", "backend", "state", ">weight", ">open", ">requests", ">share"),
        *(">5xx", ">failed", ">p50", ">p99", ""),
    )
    for pool in status.pools:
        sum_of_all = sum(backend.requests for backend in pool.backends)
        rows: list[tuple[str, ...]] = []
        shown: Sequence[BackendStats] = pool.backends
        if len(shown) > SHOWN and not everything:
            rows.append(_sum(pool))
            unwell = [backend for backend in pool.backends if cells.is_unwell(backend)]
            shown = unwell[:SHOWN]
            rows += [_backend(backend, sum_of_all, now_ms) for backend in shown]
            if left := len(unwell) - len(shown):
                rows.append((f"… {left:,} more that are not well: --all",))
        else:
            rows += [_backend(backend, sum_of_all, now_ms) for backend in shown]
        for place, row in enumerate(rows):
            table.add_row(escape(pool.name) if place == 0 else "", *row)
    return table


def queues(status: Status) -> Table:
    """A row for each pool whose requests wait while every backend is full."""
    table = cells.table("queue of", ">waiting", ">served", ">timed out", ">refused")
    for pool in status.pools:
        if (queue := pool.queue) is not None:
            counts = (queue.waiting, queue.served, queue.timed_out, queue.refused)
            table.add_row(escape(pool.name), *(f"{count:,}" for count in counts))
    return table


def clients(status: Status) -> Table:
    """A row for each pool that remembers where its clients went."""
    table = cells.table("clients of", ">remembered", ">at most", ">forgotten early", "shared")
    stores = {None: "no", True: "[green]yes[/]", False: "[yellow]the store is away[/]"}
    for pool in status.pools:
        if (affinity := pool.affinity) is not None:
            counts = (affinity.entries, affinity.capacity, affinity.evicted)
            store = stores[affinity.store_connected]
            table.add_row(escape(pool.name), *(f"{count:,}" for count in counts), store)
    return table


def head(status: Status) -> Iterator[str]:
    """What it is, in lines: Fairlead, its engine, and a reload that was refused."""
    well = "[green]ready[/]" if status.ready else f"[yellow]{status.phase}[/]"
    plan = f"plan {status.plan.version} of {status.plan.source}" if status.plan else "no plan yet"
    yield f"Fairlead {status.version}  {well}  {escape(plan)}  control {status.pid}"
    if (engine := status.engine) is None:
        yield "[red]no engine process: it is being started[/]"
    else:
        age = cells.age(time.time() - engine.started_at_ms / 1000)
        restarts = f"  {engine.restarts} restarts" if engine.restarts else ""
        yield (
            f"engine {engine.pid}  up {age}{restarts}  {engine.workers} workers  "
            f"{engine.rss_bytes / 2**20:.0f} MiB  {status.totals.requests:,} requests  "
            f"{status.totals.connections:,} connections"
        )
    if status.reload is not None and not status.reload.accepted:
        yield "[red]the last reload was refused:[/]"
        yield from (f"  {escape(str(problem))}" for problem in status.reload.problems)


def _sum(pool: PoolStats) -> tuple[str, ...]:
    states = Counter(backend.state for backend in pool.backends)
    many = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    return (
        f"{len(pool.backends):,} backends",
        many,
        "",
        f"{sum(one.in_flight for one in pool.backends):,}",
        f"{sum(one.requests for one in pool.backends):,}",
        "",
        f"{sum(one.codes.get('5xx', 0) for one in pool.backends):,}",
        f"{sum(cells.failures(one) for one in pool.backends):,}",
    )


def _backend(backend: BackendStats, sum_of_all: int, now_ms: int) -> tuple[str, ...]:
    return (
        escape(backend.id),
        cells.state(backend.state),
        cells.weight(backend),
        f"{backend.in_flight:,}",
        f"{backend.requests:,}",
        f"{backend.requests / sum_of_all:.1%}" if sum_of_all else "-",
        f"{backend.codes.get('5xx', 0):,}",
        f"{cells.failures(backend):,}",
        cells.milliseconds(backend.latency_ms.p50),
        cells.milliseconds(backend.latency_ms.p99),
        cells.why(backend, now_ms),
    )
