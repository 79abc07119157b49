"""``fairlead demo``: a small world of its own, in which a backend dies and a weight changes under load."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from fairlead.cli.demo.story import tell

__all__ = ["command"]


@click.command(name="demo")
def command() -> None:
    """Show Fairlead at work: three backends, one of them slow, and real requests.

    A backend is killed and comes back, and a reload changes a weight, all under load; no request may fail.
    On a terminal it goes on until Ctrl-C, else it ends by itself within 20 seconds; the exit code is 1 if
    any request failed. It needs no file, no free port and leaves nothing behind.

    \b
    Example:
      fairlead demo
    """  # noqa: D301 - click's mark for text that keeps its lines
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    with tempfile.TemporaryDirectory(prefix="fairlead-demo-") as directory:
        failed = asyncio.run(tell(console, Path(directory)))
    sys.exit(1 if failed else 0)
