"""What checks said outlives reloads and the engine that asked; readiness waits for what they say first."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fairlead.testing.origin import Exchange, Origin, answer, by_path, silent
from support.process import Running, configuration, engines, run, write

ONCE = {"path": "/health", "interval": "1h", "timeout": "30s"}
"""Only the check that is made at once is made."""


def serving(name: str, health: int) -> Origin:
    """An origin that answers everything, and this to its check."""
    return Origin(by_path({"/health": answer("", health)}, answer(name)))


@asynccontextmanager
async def before(folder: Path, check: dict[str, Any], *backends: Origin) -> AsyncIterator[Running]:
    file = folder / "fairlead.json"
    write(file, configuration(folder, *(each.address for each in backends), health_check=check))
    async with run(file, folder) as fairlead:
        yield fairlead


async def states(fairlead: Running) -> list[str]:
    (pool,) = (await fairlead.stats())["pools"]
    return [backend["state"] for backend in pool["backends"]]


async def ask(fairlead: Running, count: int) -> set[str]:
    """By whom so many requests are answered."""
    url = f"http://{await fairlead.address()}/"
    found = set()
    async with aiohttp.ClientSession() as client:
        for _ in range(count):
            async with client.get(url) as got:
                assert got.status == 200
                found.add(await got.text())
    return found


async def test_what_checks_said_stands_in_the_next_engine_until_their_first_result(tmp_path: Path) -> None:
    async with (
        serving("well", 200) as well,
        serving("ill", 503) as ill,
        before(tmp_path, {**ONCE, "unhealthy_threshold": 1}, well, ill) as fairlead,
    ):
        assert await states(fairlead) == ["up", "down"]
        # The next engine's checks get no answer.
        for origin in (well, ill):
            origin.behaviour = by_path({"/health": silent()}, origin.behaviour)
        (engine,) = engines(tmp_path)
        os.kill(engine, signal.SIGKILL)
        await fairlead.said("engine serves again")
        assert await ask(fairlead, 10) == {"well"}
        assert await states(fairlead) == ["up", "down"]
        assert (await fairlead.admin("/readyz"))[0] == 200


async def test_it_is_ready_when_each_check_has_a_result_or_has_had_its_time(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving("well", 200) as well, Origin(silent()) as mute:
        begun = loop.time()
        async with before(tmp_path, {**ONCE, "timeout": "2s"}, well, mute) as fairlead:
            assert loop.time() - begun >= 2
            assert await ask(fairlead, 4) == {"well"}
            # A reload that brings one more doesn't take back that it is ready.
            async with Origin(silent()) as another:
                whole = configuration(
                    tmp_path,
                    *(each.address for each in (well, mute, another)),
                    health_check={**ONCE, "timeout": "2s"},
                )
                await fairlead.reload(whole)
                assert (await fairlead.admin("/readyz"))[0] == 200
                assert (await states(fairlead))[2] == "unproven"
                assert await ask(fairlead, 4) == {"well"}


async def test_a_refused_change_of_an_address_is_as_if_nobody_had_asked_for_it(tmp_path: Path) -> None:
    async with serving("here", 200) as here, serving("there", 200) as there, Origin(silent()) as taken:
        whole = configuration(tmp_path, {"name": "a", "address": here.address}, health_check=ONCE)
        moved = configuration(tmp_path, {"name": "a", "address": there.address}, health_check=ONCE)
        moved["listeners"]["taken"] = {"bind": taken.address, "pool": "app"}
        file = tmp_path / "fairlead.json"
        write(file, whole)
        async with run(file, tmp_path) as fairlead:
            assert await states(fairlead) == ["up"]
            said = len(fairlead.output)
            write(file, moved)
            fairlead.process.send_signal(signal.SIGHUP)
            await fairlead.said("reload refused")
            assert (await states(fairlead), await ask(fairlead, 4)) == (["up"], {"here"})
            # Taken back, with another change: its check is not made again, and nobody waits for it.
            whole["pools"]["app"]["drain"] = "59s"
            await fairlead.reload(whole)
            assert (await states(fairlead), await ask(fairlead, 4)) == (["up"], {"here"})
            assert [request.target for request in here.requests].count("/health") == 1
            assert there.requests == []
            assert not [line for line in fairlead.output[said:] if "unproven" in line]


@pytest.mark.long
async def test_a_check_each_ten_seconds_is_made_through_a_hundred_reloads_in_twenty(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    made: list[float] = []

    async def checked(exchange: Exchange) -> None:
        made.append(loop.time())
        await exchange.answer(b"")

    check = {"path": "/health", "interval": "10s"}
    async with (
        Origin(by_path({"/health": checked}, answer(""))) as origin,
        before(tmp_path, check, origin) as fairlead,
    ):
        begun = loop.time()
        for number in range(100):
            whole = configuration(tmp_path, origin.address, health_check=check, max_in_flight=1000 + number)
            await fairlead.reload(whole)
            # The pace is the point.
            await asyncio.sleep(max(0, begun + (number + 1) * 0.2 - loop.time()))
        took = loop.time() - begun
    gaps = [later - earlier for earlier, later in pairwise(made)]
    # The first comes at once, the second at its place in the ten seconds, the others each ten seconds.
    assert len(made) - 1 == pytest.approx(took / 10, abs=1), made
    assert all(gap == pytest.approx(10, abs=0.5) for gap in gaps[1:]), gaps
