"""``fairlead top``: what goes on now, each second anew."""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import time
import tty
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from fairlead.admin.client import find
from fairlead.cli.top.picture import picture
from fairlead.cli.top.rates import Rates, Sample, between
from fairlead.control.directory import defaults
from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.admin.client import Client

__all__ = ["command"]

_WIDTH = 160


@click.command(name="top")
@click.option("--admin", metavar="ADDRESS", help="Its directory, a socket's path, HOST:PORT or a URL.")
@click.option(
    "--interval", type=click.FloatRange(0.1, 60.0), default=1.0, help="Seconds from one to the next."
)
@click.option("--once", is_flag=True, help="Watch for one interval, print it and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each interval.")
def command(admin: str | None, interval: float, *, once: bool, as_json: bool) -> None:
    """Show what goes on now: requests, errors, latency and state of each listener and backend.

    All rates are those of the last interval. It ends with q or Ctrl-C; without a terminal, after one
    interval.

    \b
    Examples:
      fairlead top
      fairlead top --once --json
    """  # noqa: D301 - click's mark for text that keeps its lines
    client = find(admin, defaults())
    try:
        if as_json:
            _lines(client, interval, once=once)
        elif once or not sys.stdout.isatty():
            sample = _sample(client)
            time.sleep(interval)
            after = _sample(client)
            width = None if sys.stdout.isatty() else _WIDTH
            Console(highlight=False, width=width).print(picture(after.status, _rates(sample, after)))
        else:
            _live(client, interval)
    except KeyboardInterrupt:
        # How it is meant to end.
        return


def _sample(client: Client) -> Sample:
    status = client.status()
    return Sample(status, time.monotonic())


def _rates(before: Sample | None, after: Sample) -> Rates:
    return between(before, after, time.time_ns() // 1_000_000)


def _lines(client: Client, interval: float, *, once: bool) -> None:
    before = _sample(client)
    while True:
        time.sleep(interval)
        after = _sample(client)
        click.echo(json.dumps({"at_ms": time.time_ns() // 1_000_000, **asdict(_rates(before, after))}))
        if once:
            return
        before = after


def _live(client: Client, interval: float) -> None:
    console = Console(highlight=False)
    before: Sample | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live, _keys() as has_key:
        while True:
            try:
                after = _sample(client)
            except FairleadError as error:
                # It may be on its way back: a restart is no reason to stop looking.
                live.update(Text(f"{error}; looking again", style="red"), refresh=True)
                before = None
            else:
                live.update(picture(after.status, _rates(before, after), console.height), refresh=True)
                before = after
            if has_key(interval):
                return


@contextmanager
def _keys() -> Iterator[_Keys]:
    """Keys as they are pressed, unseen; the terminal is as before when this is over."""
    if not sys.stdin.isatty():
        yield _Keys(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Keys:
    """Waits for q."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, seconds: float) -> bool:
        """Wait so long, or until q is pressed; whether it was."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._descriptor is None:
                time.sleep(left)
                continue
            ready, _, _ = select.select([self._descriptor], [], [], left)
            if not ready:
                continue
            pressed = os.read(self._descriptor, 64)
            if not pressed:
                # Its end: nobody presses anything any more.
                self._descriptor = None
            # Any other key shows at once what is new.
            return b"q" in pressed.lower()
        return False
