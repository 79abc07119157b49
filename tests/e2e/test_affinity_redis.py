"""Nodes that share whom clients belong to, by a Redis that may be away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

from fairlead.testing.origin import Origin, answer
from support import load, metrics
from support.browser import Browser
from support.process import configuration, engines, run, write
from support.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from support.process import Running
    from support.redis_server import RedisServer

VALUES = [f"session-{number}" for number in range(30)]
PATIENCE_SECONDS = 30.0


def settings(directory: Path, found: Sequence[Origin], redis: RedisServer) -> dict[str, Any]:
    table = {"key": "header:X-Session", "ttl": "1m", "store": "redis"}
    backends = [{"address": origin.address, "name": f"b{n}"} for n, origin in enumerate(found)]
    whole = configuration(directory, *backends, affinity={"table": table})
    return {**whole, "cluster": {"redis": redis.address}}


def prepared(directory: Path, found: Sequence[Origin], redis: RedisServer) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / "fairlead.json"
    write(file, settings(directory, found, redis))
    return file


@contextlib.asynccontextmanager
async def serving(directory: Path, found: Sequence[Origin], redis: RedisServer) -> AsyncIterator[Running]:
    async with run(prepared(directory, found, redis), directory) as running:
        await connected(running)
        yield running


@contextlib.asynccontextmanager
async def origins(count: int) -> AsyncIterator[list[Origin]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Origin(answer(str(number)))) for number in range(count)]


async def connected(running: Running, *, there: bool = True) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await running.stats())["pools"][0]["affinity"]["store_connected"] is not there:
            pass


async def homes(running: Running, values: Sequence[str] = VALUES) -> dict[str, str]:
    address = await running.address()
    return {value: await Browser(fields={"X-Session": value}).settled(address) for value in values}


async def agree(nodes: Sequence[Running]) -> dict[str, str]:
    """Wait until all nodes send every client to the same backend."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            first, *others = [await homes(node) for node in nodes]
            if all(other == first for other in others):
                return first


async def told(running: Running, clients: int) -> None:
    """Wait until a node knows so many: asked before, it chooses for itself, and who tells first is right."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await running.stats())["pools"][0]["affinity"]["entries"] != clients:
            pass


async def test_nodes_send_a_client_to_the_same_backend(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path) as redis,
        origins(3) as three,
        serving(tmp_path / "one", three, redis) as one,
        serving(tmp_path / "two", three, redis) as two,
    ):
        found = await homes(one)
        assert len(set(found.values())) == 3
        await told(two, len(VALUES))
        assert await homes(two) == found
        # A node that comes later knows them as well, and so does an engine that was started anew.
        async with serving(tmp_path / "late", three, redis) as late:
            assert await homes(late) == found
        (engine,) = engines(two.directory)
        os.kill(engine, signal.SIGKILL)
        while engine in engines(two.directory):
            pass
        await two.said("engine serves again")
        assert await agree([one, two]) == found


async def test_clients_that_move_move_everywhere(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path) as redis,
        origins(3) as three,
        serving(tmp_path / "one", three, redis) as one,
        serving(tmp_path / "two", three, redis) as two,
    ):
        found = await homes(one)
        await told(two, len(VALUES))
        await three[1].stop()
        assert "1" not in (await homes(one)).values()
        # Until both have heard of each other's, a client that is seen by both may be moved to two places.
        moved = await agree([one, two])
        assert "1" not in moved.values()
        stayed = {value: home for value, home in found.items() if home != "1"}
        assert {value: moved[value] for value in stayed} == stayed


async def test_redis_that_is_killed_and_started_again_under_load_fails_no_request(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path) as redis,
        origins(3) as three,
        serving(tmp_path / "one", three, redis) as one,
        serving(tmp_path / "two", three, redis) as two,
    ):
        await homes(one)
        nodes = [one, two]
        traffic = [
            await load.start(await node.address(), "--rate", "300", "--seconds", "12", "--connections", "16")
            for node in nodes
        ]
        await redis.kill()
        for node in nodes:
            await connected(node, there=False)
            await node.said("affinity store")
            _, page = await node.admin("/metrics")
            assert metrics.value(metrics.parse(page), "fairlead_affinity_store_up", pool="app") == 0
        # Each goes on by itself, with new clients too, on which they may differ.
        late = [f"late-{number}" for number in range(10)]
        for node in nodes:
            before = await homes(node, [*VALUES, *late])
            assert await homes(node, [*VALUES, *late]) == before
        await redis.restart()
        for node in nodes:
            await connected(node)
        for report in [await each.report() for each in traffic]:
            assert report["failed"] == 0, report["failures"]
        await agree(nodes)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await homes(one, late) != await homes(two, late):
                pass


async def test_redis_that_was_never_there_is_said_and_does_no_harm(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis, origins(2) as two:
        await redis.kill()
        directory = tmp_path / "one"
        async with run(prepared(directory, two, redis), directory) as running:
            await running.said("affinity store")
            found = await homes(running)
            assert await homes(running) == found
            await redis.restart()
            await connected(running)
