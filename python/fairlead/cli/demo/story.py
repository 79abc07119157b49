"""What happens in the demo, and what is shown of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fairlead.cli.demo.load import Load, Tally
from fairlead.cli.demo.stage import Backend, Stage
from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, RenderableType

SLOW_SECONDS = 0.02
WEIGHT = 4

_SCENE_SECONDS = 3.5
"""Without a terminal; with start and end the whole story stays well within 20 s."""

_SCENE_SECONDS_LIVE = 7.0
_REFRESH_SECONDS = 0.25


class Story:
    """Scenes, one after another, while the load runs."""

    def __init__(self, console: Console, stage: Stage, load: Load) -> None:
        self._console = console
        self._stage = stage
        self._load = load
        self._title = ""
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    async def play(self) -> None:
        """All scenes; on a terminal the last one goes on."""
        quick, other, slow = self._stage.backends
        with self._live or contextlib.nullcontext():
            await self._scene(
                f"1. Three backends, least_connections; {slow.name} takes {slow.delay * 1000:.0f} ms"
            )
            await other.kill()
            await self._scene(f"2. {other.name} was killed (SIGKILL): its requests go to the others")
            await other.start()
            quick.weight = WEIGHT
            outcome = await self._stage.reload()
            if not outcome.accepted:
                raise FairleadError("\n".join(str(problem) for problem in outcome.problems))
            await self._scene(
                f"3. {other.name} is back, and a reload (plan {outcome.plan_version}) gave "
                f"{quick.name} the weight {WEIGHT}"
            )
            if self._live is not None:
                self._title += " (Ctrl-C ends)"
                while True:
                    await self._refresh()

    async def _scene(self, title: str) -> None:
        self._load.turn()
        self._title = title
        if self._live is None:
            await asyncio.sleep(_SCENE_SECONDS)
            self._console.print(self._picture())
            return
        end = time.monotonic() + _SCENE_SECONDS_LIVE
        while time.monotonic() < end:
            await self._refresh()

    async def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
        await asyncio.sleep(_REFRESH_SECONDS)

    def _picture(self) -> RenderableType:
        stretch = self._load.stretch
        return Group(
            Text(self._title, style="bold"), _table(self._stage.backends, stretch), _line(stretch), ""
        )


async def tell(console: Console, directory: Path) -> bool:
    """Play the demo; whether any request failed."""
    backends = [Backend("quick-1"), Backend("quick-2"), Backend("slow", delay=SLOW_SECONDS)]
    async with Stage(directory, backends) as stage:
        status = await stage.status()
        port = int(status.listeners[0].binds[0].bound.rpartition(":")[2])
        load = Load(port)
        console.print(
            f"Fairlead {status.version} balances http://127.0.0.1:{port}/ over {len(backends)} backends"
        )
        for address in status.admin:
            if not address.startswith("/"):
                console.print(
                    f"and says how it is at http://{address}/metrics and http://{address}/api/v1/status"
                )
        console.print()
        await _until_interrupted(Story(console, stage, load), load)
    total = load.total
    console.print(Text.assemble("In all: ", _line(total)))
    for reason in dict.fromkeys(total.failures[:5]):
        console.print(f"  {reason}", style="red")
    return bool(total.failures)


async def _until_interrupted(story: Story, load: Load) -> None:
    asking = asyncio.create_task(load.run())
    playing = asyncio.create_task(story.play())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


def _table(backends: list[Backend], tally: Tally) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("backend", "process", "weight", "requests", "share", "per second", "mean", ""):
        table.add_column(title, justify="left" if title in {"backend", "process", ""} else "right")
    everything = tally.answers.total()
    elapsed = max(time.monotonic() - tally.began, 0.001)
    for backend in backends:
        count = tally.answers[backend.name]
        share = count / everything if everything else 0.0
        mean = f"{tally.seconds[backend.name] / count * 1000:.1f} ms" if count else "-"
        table.add_row(
            backend.name,
            Text("runs", style="green") if backend.runs else Text("killed", style="red"),
            str(backend.weight),
            f"{count:,}",
            f"{share:.0%}",
            f"{count / elapsed:,.0f}",
            mean,
            Text("█" * round(share * 24), style="cyan"),
        )
    return table


def _line(tally: Tally) -> Text:
    failed = len(tally.failures)
    line = Text(f"{tally.answers.total():,} requests, ")
    line.append(f"{failed:,} failed", style="bold red" if failed else "bold green")
    line.append(
        f", half within {tally.quantile(0.5) * 1000:.1f} ms, 99 % within {tally.quantile(0.99) * 1000:.1f} ms"
    )
    return line
