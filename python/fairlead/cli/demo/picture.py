"""The table of the demo: who gets what, as the clients see it, and what Fairlead met on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fairlead.cli.demo.load import Tally
    from fairlead.cli.demo.stage import Backend

FailedTries = Mapping[str, int]
"""By backend: tries that met a closed port or a reset, after which Fairlead asked another backend."""

_BAR = 12
_TEXTS = {"backend", "process", ""}


def picture(title: str, backends: list[Backend], tally: Tally, failed: FailedTries) -> RenderableType:
    """A scene: its title, the table, the sum."""
    return Group(Text(title, style="bold"), _table(backends, tally, failed), figures(tally), "")


def figures(tally: Tally) -> Text:
    """The sum in a line."""
    failed = len(tally.failures)
    half, most = (tally.quantile(share) * 1000 for share in (0.5, 0.99))
    line = Text(f"{tally.answers.total():,} requests, ")
    line.append(f"{failed:,} failed", style="bold red" if failed else "bold green")
    line.append(f", half within {half:.1f} ms, 99 % within {most:.1f} ms")
    return line


def _table(backends: list[Backend], tally: Tally, failed: FailedTries) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for title in ("backend", "process", "weight", "requests", "share", "per s", "mean", "retried", ""):
        table.add_column(title, justify="left" if title in _TEXTS else "right", no_wrap=True)
    everything = tally.answers.total()
    elapsed = max(time.monotonic() - tally.began, 0.001)
    for backend in backends:
        count = tally.answers[backend.name]
        share = count / everything if everything else 0.0
        table.add_row(
            backend.name,
            Text("runs", style="green") if backend.runs else Text("killed", style="red"),
            str(backend.weight),
            f"{count:,}",
            f"{share:.0%}",
            f"{count / elapsed:,.0f}",
            f"{tally.seconds[backend.name] / count * 1000:.1f} ms" if count else "-",
            f"{failed.get(backend.name, 0):,}",
            Text("█" * round(share * _BAR), style="cyan"),
        )
    return table
