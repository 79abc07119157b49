"""Redis behind Fairlead: clients of a server that dies go on at another one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken

from support.process import configuration, run, write
from support.redis_server import RedisServer, redis_server
from support.traffic import Ask, Traffic

VALUES = {f"key-{number}": str(number * 2) for number in range(100)}


def _client(port: int) -> Redis:
    # A connection of its own, and no second try that would hide a loss.
    return Redis(
        port=port,
        single_connection_client=True,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
    )


async def _fill(server: RedisServer, name: str) -> None:
    """The same data in each, but for its name, and kept for its next life."""
    async with _client(server.port) as client:
        await client.mset({**VALUES, "name": name})
        await client.save()


def _traffic(port: int) -> Traffic:
    @contextlib.asynccontextmanager
    async def session() -> AsyncIterator[Ask]:
        async with _client(port) as client:
            keys = iter(VALUES)

            async def ask() -> str:
                key = next(keys)
                name, value = await client.mget("name", key)
                assert value == VALUES[key]
                return str(name)

            yield ask

    return Traffic(session, (Broken,))


async def test_server_that_dies_is_left_for_another_until_it_is_back(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    async with redis_server(folders[0]) as one, redis_server(folders[1]) as two:
        await _fill(one, "one")
        await _fill(two, "two")
        # All to the first, as where only one may be written to.
        second = {"address": f"127.0.0.1:{two.port}", "backup": True}
        wanted = configuration(
            tmp_path,
            f"127.0.0.1:{one.port}",
            second,
            health_check={"type": "tcp", "interval": "500ms", "fast_interval": "200ms"},
            passive_health={"cooldown": "500ms"},
        )
        wanted["listeners"]["web"]["protocol"] = "tcp"
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            port = int((await fairlead.address()).rpartition(":")[2])
            async with _traffic(port) as traffic:
                await traffic.more("one")
                assert traffic.answers["two"] == 0
                await one.kill()
                dead = asyncio.get_running_loop().time()
                await traffic.more("two")
                assert traffic.lost_with("one", dead) > 0
                await one.restart()
                await traffic.more("one")
                assert traffic.losses == []
