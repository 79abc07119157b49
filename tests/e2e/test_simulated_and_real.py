"""What the simulator says of a slow backend shows on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from fairlead.model import Configuration
from fairlead.simulate import prepare, read, run
from fairlead.testing.origin import Origin, answer
from support import load, process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fairlead.testing.origin import Behaviour, Exchange

BACKENDS, SLOTS, WORK, SLOW = 5, 4, 0.02, 5
RATE, SECONDS = 250, 6

SCENARIO = f"""
title: One slow node
about: The first backend takes {SLOW} times as long from the start.
duration: {SECONDS}s
arrivals: {{law: constant, rate: {RATE}/s}}
work: {{constant: {round(WORK * 1000)}ms}}
servers: {{slots: {SLOTS}}}
events:
  - {{backends: 1, what: {{slow: {SLOW}}}}}
"""


def server(seconds: float) -> Behaviour:
    """Works on so many requests at a time; the others wait."""
    slots = asyncio.Semaphore(SLOTS)
    say = answer("done")

    async def behave(exchange: Exchange) -> None:
        async with slots:
            await asyncio.sleep(seconds)
        await say(exchange)

    return behave


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[list[str]]:
    async with contextlib.AsyncExitStack() as stack:
        times = [WORK * SLOW] + [WORK] * (BACKENDS - 1)
        origins = [await stack.enter_async_context(Origin(server(time), remember=False)) for time in times]
        yield [origin.address for origin in origins]


def configuration(addresses: list[str], algorithm: str, directory: Path | None = None) -> dict[str, Any]:
    runtime = {"runtime": {"directory": str(directory), "workers": 1}} if directory else {}
    return {
        **runtime,
        "listeners": {"web": {"bind": "127.0.0.1:0", "pool": "app"}},
        "pools": {"app": {"algorithm": algorithm, "backends": addresses}},
    }


def simulated(tmp_path: Path, addresses: list[str]) -> dict[str, float]:
    """The p99 of each algorithm in milliseconds, as the simulator has it."""
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    model = Configuration.model_validate(configuration(addresses, "round_robin"))
    outcomes = run(prepare(model, "app", read(str(path))), ["round_robin", "least_time"])
    return {outcome.algorithm: outcome.report.latency.p99_ms or 0.0 for outcome in outcomes}


async def real(directory: Path, addresses: list[str], algorithm: str) -> float:
    file = directory / "fairlead.json"
    process.write(file, configuration(addresses, algorithm, directory))
    async with process.run(file, directory) as running:
        said = await load.run(
            await running.address("web"),
            "--rate",
            str(RATE),
            "--seconds",
            str(SECONDS),
            "--connections",
            "250",
        )
    assert said["failed"] == 0, said["failures"]
    return float(said["latency_ms"]["p99"])


async def test_least_time_beats_round_robin_with_a_slow_node_simulated_and_real(tmp_path: Path) -> None:
    async with servers() as addresses:
        told = simulated(tmp_path, addresses)
        for algorithm in ("round_robin", "least_time"):
            (tmp_path / algorithm).mkdir()
        shown = {
            algorithm: await real(tmp_path / algorithm, addresses, algorithm)
            for algorithm in ("round_robin", "least_time")
        }
    assert told["least_time"] * 3 < told["round_robin"], told
    assert shown["least_time"] * 3 < shown["round_robin"], shown
