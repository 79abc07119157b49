"""Reloads while traffic flows: nothing fails, and what was open lives on."""

import asyncio
from pathlib import Path
from typing import Any

import websockets

from support import load
from support.origins import origins
from support.process import configuration, run, write

RELOADS = 20


def _other(first: dict[str, Any], number: int, spare: str) -> dict[str, Any]:
    """Differs from `first` in a route, a weight, a backend and a listener."""
    if number % 2:
        return first
    backends = first["pools"]["app"]["backends"]
    return {
        **first,
        "listeners": {
            "web": {
                "bind": "127.0.0.1:0",
                "routes": [{"match": {"path": "/other/*"}, "pool": "app"}, {"pool": "app"}],
            },
            "extra": {"bind": "127.0.0.3:0", "pool": "app"},
        },
        "pools": {"app": {"backends": [{"address": backends[0], "weight": 3}, backends[1], spare]}},
    }


async def _echo(connection: websockets.ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_nothing_fails_and_a_websocket_and_a_download_live_through(tmp_path: Path) -> None:
    async with (
        origins("one", "two", "spare") as (one, two, spare),
        websockets.serve(_echo, "127.0.0.1", 0) as echo,
    ):
        echo_address = f"127.0.0.1:{echo.sockets[0].getsockname()[1]}"
        config = tmp_path / "fairlead.json"
        first = configuration(tmp_path, one.address, two.address)
        first["listeners"]["ws"] = {"bind": "127.0.0.2:0", "pool": "ws"}
        first["pools"]["ws"] = {"backends": [echo_address]}
        write(config, first)
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /slow/8 HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            socket = await websockets.connect(f"ws://{await fairlead.address('ws')}/")
            traffic = await load.start(address, "--rate", "2000", "--seconds", "8", "--connections", "32")
            for number in range(RELOADS):
                changed = _other(first, number, spare.address)
                changed["listeners"].setdefault("ws", first["listeners"]["ws"])
                changed["pools"].setdefault("ws", first["pools"]["ws"])
                await fairlead.reload(changed)
                await socket.send(f"still here {number}")
                assert await socket.recv() == f"still here {number}"
            report = await traffic.report()
            assert len(await reader.readexactly(8)) == 8
            plans = (await fairlead.stats())["plans_alive"]
            await socket.close()
            writer.close()
    assert report["failed"] == 0, report["failures"]
    assert plans <= 2
