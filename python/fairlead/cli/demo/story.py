"""What happens in the demo: three scenes under load, then the figures."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from fairlead.cli.demo.load import Load
from fairlead.cli.demo.picture import FailedTries, figures, picture
from fairlead.cli.demo.stage import Backend, Stage
from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console, RenderableType

    from fairlead.model.status import Status

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
        self._failed_before: FailedTries = {}
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    async def play(self) -> None:
        """All scenes; on a terminal the last one goes on."""
        quick, other, slow = self._stage.backends
        milliseconds = f"{slow.delay * 1000:.0f} ms"
        with self._live or contextlib.nullcontext():
            await self._scene(
                f"1. Three backends, least_connections; {slow.name} takes {milliseconds} an answer"
            )
            await other.kill()
            await self._scene(f"2. {other.name} was killed (SIGKILL): its requests go to the others")
            await other.start()
            quick.weight = WEIGHT
            outcome = await self._stage.reload()
            if not outcome.accepted:
                raise FairleadError("\n".join(str(problem) for problem in outcome.problems))
            plan = outcome.plan_version
            await self._scene(
                f"3. {other.name} is back; a reload (plan {plan}) gave {quick.name} weight {WEIGHT}"
            )
            if self._live is not None:
                self._title += " (Ctrl-C ends)"
                while True:
                    await self._refresh(self._live)

    async def _scene(self, title: str) -> None:
        self._failed_before = _failed_tries(await self._stage.status())
        self._load.turn()
        self._title = title
        if self._live is None:
            await asyncio.sleep(_SCENE_SECONDS)
            await self._show(self._console.print)
            return
        end = time.monotonic() + _SCENE_SECONDS_LIVE
        while time.monotonic() < end:
            await self._refresh(self._live)

    async def _refresh(self, live: Live) -> None:
        await self._show(lambda shown: live.update(shown, refresh=True))
        await asyncio.sleep(_REFRESH_SECONDS)

    async def _show(self, on: Callable[[RenderableType], None]) -> None:
        now = _failed_tries(await self._stage.status())
        failed = {name: count - self._failed_before.get(name, 0) for name, count in now.items()}
        on(picture(self._title, self._stage.backends, self._load.stretch, failed))


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
                url = f"http://{address}"
                console.print(f"its state is at {url}/metrics and {url}/api/v1/status")
        console.print()
        await _until_interrupted(Story(console, stage, load), load)
    total = load.total
    console.print(Text.assemble("In all: ", figures(total)))
    for reason in dict.fromkeys(total.failures[:5]):
        console.print(f"  {reason}", style="red", markup=False)
    return bool(total.failures)


async def _until_interrupted(story: Story, load: Load) -> None:
    asking = asyncio.create_task(load.run())
    playing = asyncio.create_task(story.play())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, playing.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


def _failed_tries(status: Status) -> FailedTries:
    """What each backend's tries met so far, as the engine counts it."""
    backends = [backend for pool in status.pools for backend in pool.backends]
    return {one.id: one.connect_failures + one.resets + one.timeouts for one in backends}
