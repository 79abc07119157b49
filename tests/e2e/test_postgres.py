"""PostgreSQL behind Fairlead: what a server that goes had at that moment is lost, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from fairlead.admin.client import Client
from support import postgres
from support.postgres import FACTS, Postgres
from support.process import Running, configuration, run, write
from support.traffic import Ask, Traffic


def _configuration(folder: Path, servers: list[Postgres]) -> dict[str, Any]:
    # It accepts connections before it takes queries, and still while it stops: that alone says too little.
    asked = f'exec {postgres.isready()} -q -h 127.0.0.1 -p "$FAIRLEAD_PORT"'
    wanted = configuration(
        folder,
        *({"address": f"127.0.0.1:{server.port}", "name": server.name} for server in servers),
        algorithm="least_connections",
        health_check={
            "type": "exec",
            "command": ["/bin/sh", "-c", asked],
            "interval": "1s",
            "fast_interval": "200ms",
        },
        passive_health={"cooldown": "500ms"},
    )
    wanted["listeners"]["web"]["protocol"] = "tcp"
    return wanted


async def _traffic(fairlead: Running) -> Traffic:
    port = int((await fairlead.address()).rpartition(":")[2])
    choose = Random(1)  # noqa: S311 - any row is as good

    @contextlib.asynccontextmanager
    async def session() -> AsyncIterator[Ask]:
        async with await postgres.connect(port) as connection:

            async def ask() -> str:
                number = choose.randint(1, FACTS)
                cursor = await connection.execute(
                    "SELECT current_setting('cluster_name'), value FROM facts WHERE id = %s", (number,)
                )
                row = await cursor.fetchone()
                assert row is not None
                assert row[1] == 2 * number
                return str(row[0])

            yield ask

    return Traffic(session, (psycopg.OperationalError,))


async def _dies_and_comes_back(traffic: Traffic, server: Postgres, other: Postgres) -> None:
    now = asyncio.get_running_loop().time
    await server.kill()
    dead = now()
    await traffic.more(other.name)
    assert traffic.lost_with(server.name, dead) > 0
    await server.start()
    await traffic.more(server.name)
    assert traffic.lost_with(server.name, dead) == 0


async def test_server_that_dies_takes_its_own_statements_with_it_and_nothing_else(tmp_path: Path) -> None:
    async with postgres.servers("one", "two") as both:
        write(tmp_path / "fairlead.json", _configuration(tmp_path, both))
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead, await _traffic(fairlead) as traffic:
            one, two = both
            await traffic.more(one.name)
            await traffic.more(two.name)
            await _dies_and_comes_back(traffic, one, two)


async def test_server_that_is_drained_before_it_stops_loses_no_statement(tmp_path: Path) -> None:
    async with postgres.servers("one", "two") as both:
        write(tmp_path / "fairlead.json", _configuration(tmp_path, both))
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead, await _traffic(fairlead) as traffic:
            client = Client(str(tmp_path))
            await traffic.more("one")
            await asyncio.to_thread(client.operate, "app", "one", "drain")
            # Its clients go by themselves, as those of a pool do that renews its connections.
            while (await asyncio.to_thread(client.backend, "app", "one")).in_flight > 0:
                pass
            await both[0].stop()
            await traffic.more("two")
            await both[0].start()
            await asyncio.to_thread(client.operate, "app", "one", "undrain")
            await traffic.more("one")
            assert traffic.losses == []


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_servers_that_die_in_turn_for_a_minute_take_only_their_own_statements(tmp_path: Path) -> None:
    async with postgres.servers("one", "two") as both:
        write(tmp_path / "fairlead.json", _configuration(tmp_path, both))
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead, await _traffic(fairlead) as traffic:
            now = asyncio.get_running_loop().time
            until = now() + 60
            one, two = both
            while now() < until:
                await traffic.more(one.name)
                await traffic.more(two.name)
                await _dies_and_comes_back(traffic, one, two)
                one, two = two, one
