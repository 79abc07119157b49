"""Reloads of TCP listeners: sessions live on, and what was removed ends when its time is over."""

import asyncio
import resource
from pathlib import Path
from typing import Any

import pytest

from support.backend import OK, Backend, answering
from support.peer import HANG, Peer
from support.process import Running, configuration, run, write


async def _echo(_: Backend, peer: Peer) -> None:
    while piece := await peer.reader.read(65536):
        peer.send(piece)


def _tcp(folder: Path, *backends: str, **more: object) -> dict[str, Any]:
    wanted = configuration(folder, *backends, **more)
    wanted["listeners"]["web"]["protocol"] = "tcp"
    return wanted


async def _echoes(client: Peer, words: bytes = b"still here") -> None:
    client.send(words)
    assert await client.read(len(words)) == words


async def _connect(fairlead: Running) -> Peer:
    client = await Peer.connect(await fairlead.address())
    await _echoes(client)
    return client


@pytest.mark.parametrize(
    ("sessions", "reloads"),
    [(1000, 20), pytest.param(8000, 50, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
async def test_open_sessions_live_through_reloads(tmp_path: Path, sessions: int, reloads: int) -> None:
    # Both ends of each are here: two descriptors.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    assert most > 2 * sessions + 1000, "raise the limit of descriptors: ulimit -n"
    async with Backend(_echo) as backend, Backend(_echo) as spare:
        first = _tcp(tmp_path, backend.address)
        other = _tcp(tmp_path, spare.address, {"address": backend.address, "weight": 2})
        write(tmp_path / "fairlead.json", first)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            address = await fairlead.address()
            clients = [await Peer.connect(address) for _ in range(sessions)]
            await asyncio.gather(*(_echoes(client) for client in clients))
            for number in range(reloads):
                await fairlead.reload(first if number % 2 else other)
                # A part each time, so that none has been silent for long.
                await asyncio.gather(*(_echoes(client) for client in clients[number % 10 :: 10]))
            stats = await fairlead.stats()
            assert stats["plans_alive"] <= 2
            assert stats["listeners"][0]["connections"] == sessions
            await asyncio.gather(*(_echoes(client) for client in clients))
            for client in clients:
                await client.closed()


async def test_sessions_of_a_removed_backend_end_when_its_drain_is_over(tmp_path: Path) -> None:
    async with Backend(_echo) as backend, Backend(_echo) as spare:
        write(tmp_path / "fairlead.json", _tcp(tmp_path, backend.address, drain="700ms"))
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            client = await _connect(fairlead)
            await fairlead.reload(_tcp(tmp_path, spare.address, drain="700ms"))
            await _echoes(client, b"while it drains")
            with pytest.raises(ConnectionResetError):
                await client.end()
            await client.closed()
            listener = (await fairlead.stats())["listeners"][0]
            assert listener["sessions"] == {"drain": 1}
            await (await _connect(fairlead)).closed()
            assert spare.connections == 1


async def test_sessions_of_a_removed_listener_end_when_its_drain_is_over(tmp_path: Path) -> None:
    async with Backend(_echo) as backend:
        wanted = _tcp(tmp_path, backend.address)
        wanted["runtime"]["drain_timeout"] = "700ms"
        wanted["listeners"]["stays"] = {**wanted["listeners"]["web"], "bind": "127.0.0.2:0"}
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            client = await _connect(fairlead)
            del wanted["listeners"]["web"]
            await fairlead.reload(wanted)
            await _echoes(client, b"while it drains")
            with pytest.raises(ConnectionResetError):
                await client.end()
            await client.closed()


async def test_stop_lets_sessions_end_by_themselves(tmp_path: Path) -> None:
    async with Backend(_echo) as backend:
        write(tmp_path / "fairlead.json", _tcp(tmp_path, backend.address))
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            client = await _connect(fairlead)
            stopping = asyncio.create_task(fairlead.stop())
            await fairlead.said("drain")
            await _echoes(client, b"while it stops")
            client.finish()
            assert await client.end() == b""
            assert await stopping == 0
            await client.closed()


async def test_listener_that_changes_its_protocol_keeps_what_was_opened_in_the_other(tmp_path: Path) -> None:
    async with Backend(_echo) as backend, Backend(answering(OK)) as web:
        first = _tcp(tmp_path, backend.address)
        write(tmp_path / "fairlead.json", first)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            session = await _connect(fairlead)
            other = configuration(tmp_path, backend.address)
            other["listeners"]["web"]["pool"] = "site"
            other["pools"]["site"] = {"backends": [web.address]}
            await fairlead.reload(other)
            await _echoes(session, b"as before")
            client = await Peer.connect(await fairlead.address())
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer()).status == 200
            await fairlead.reload(first)
            # Its next answer is its last: the listener speaks something else now.
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.value("Connection")) == (200, "close")
            await (await _connect(fairlead)).closed()
            await client.closed()
            await session.closed()
            async with asyncio.timeout(HANG):
                while (await fairlead.stats())["listeners"][0]["connections"]:
                    pass
