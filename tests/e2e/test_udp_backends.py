"""Backends of UDP listeners that go: their sessions go on with another one."""

import asyncio
from pathlib import Path

from support.datagrams import Client, Origin, configuration, grounds
from support.peer import HANG


def _two(one: Origin, other: Origin, **more: object) -> dict[str, object]:
    return {"backends": [one.address, other.address], "algorithm": "first", **more}


async def test_session_of_a_backend_that_dies_moves_to_another(tmp_path: Path) -> None:
    async with Origin() as one, Origin() as other:
        wanted = configuration(tmp_path, {"game": {}}, {"app": _two(one, other)})
        async with grounds(tmp_path, wanted) as ground:
            clients = [ground.client() for _ in range(20)]
            for client in clients:
                await client.echoes()
            assert len(one.heard) == 20
            await one.stop()
            for number, client in enumerate(clients):
                assert await client.ask(b"%d" % number) == b"%d" % number
            assert len(other.heard) == 20
            assert await ground.metric("fairlead_sessions_moved_total", listener="game") == 20
            assert await ground.metric("fairlead_backend_failures_total", pool="app", kind="connect") >= 5
            assert await ground.metric("fairlead_connections", listener="game") == 20
            # Five in a row were enough to know.
            backends = (await ground.fairlead.stats())["pools"][0]["backends"]
            states = {each["address"]: each["state"] for each in backends}
            assert states == {one.address: "ejected", other.address: "up"}


async def test_session_of_the_only_backend_waits_for_it_to_come_back(tmp_path: Path) -> None:
    async with Origin() as one:
        pool = {"backends": [one.address], "passive_health": "off"}
        wanted = configuration(tmp_path, {"game": {}}, {"app": pool})
        async with grounds(tmp_path, wanted) as ground:
            client = ground.client()
            await client.echoes()
            await one.stop()
            for _ in range(10):
                client.send(b"anybody?")
            async with asyncio.timeout(HANG):
                while not await ground.metric("fairlead_backend_failures_total", pool="app", kind="connect"):
                    pass
            await one.start()
            assert await client.ask(b"again") == b"again"
            assert await ground.metric("fairlead_connections_accepted_total", listener="game") == 1


async def test_new_session_whose_backend_refuses_is_answered_by_another(tmp_path: Path) -> None:
    async with Origin() as gone, Origin() as one:
        await gone.stop()
        wanted = configuration(tmp_path, {"game": {}}, {"app": _two(gone, one)})
        async with grounds(tmp_path, wanted) as ground:
            client: Client = ground.client()
            assert await client.ask(b"hello") == b"hello"
