"""Reloads while traffic flows: nothing fails, and what was open lives on."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import websockets

from support import load
from support.origins import origins
from support.process import configuration, run, write

PACE_SECONDS = 0.2
"""Between an acknowledged reload and the next, where the pace is the point."""


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


async def _echoes_while(socket: websockets.ClientConnection, change: Coroutine[Any, Any, object]) -> int:
    """Make the change; until it is made, and once after it, everything sent comes back. How often it did."""
    making = asyncio.ensure_future(change)
    for number in itertools.count(1):
        made = making.done()
        await socket.send(f"still here {number}")
        assert await socket.recv() == f"still here {number}"
        if made:
            await making
            return number
    raise AssertionError


async def _live_through(folder: Path, *, reloads: int, pace: float, seconds: int) -> dict[str, Any]:
    """Reload so often under load while a WebSocket and a download of `seconds`, opened before, go on.

    Returns the load's report, with the most Plans alive (`plans`) and what the WebSocket echoed (`echoes`).
    """
    async with (
        origins("one", "two", "spare") as (one, two, spare),
        websockets.serve(_echo, "127.0.0.1", 0) as echo,
    ):
        echo_address = f"127.0.0.1:{echo.sockets[0].getsockname()[1]}"
        config = folder / "fairlead.json"
        first = configuration(folder, one.address, two.address)
        first["listeners"]["ws"] = {"bind": "127.0.0.2:0", "pool": "ws"}
        first["pools"]["ws"] = {"backends": [echo_address]}
        write(config, first)
        async with run(config, folder) as fairlead:
            address = await fairlead.address()
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /slow/%d HTTP/1.1\r\nHost: a\r\n\r\n" % seconds)
            await reader.readuntil(b"\r\n\r\n")
            download = asyncio.create_task(reader.readexactly(seconds))
            socket = await websockets.connect(f"ws://{await fairlead.address('ws')}/")
            traffic = await load.start(
                address, "--rate", "2000", "--seconds", str(seconds), "--connections", "32"
            )
            plans = echoes = 0
            for number in range(reloads):
                changed = _other(first, number, spare.address)
                changed["listeners"].setdefault("ws", first["listeners"]["ws"])
                changed["pools"].setdefault("ws", first["pools"]["ws"])
                echoes += await _echoes_while(socket, fairlead.reload(changed))
                plans = max(plans, (await fairlead.stats())["plans_alive"])
                await asyncio.sleep(pace)
            # Both were open all the time, and so was the load: none has ended before the last reload.
            assert not download.done()
            assert traffic.process.returncode is None
            report = await traffic.report()
            assert len(await download) == seconds
            await socket.close()
            writer.close()
    assert report["failed"] == 0, report["failures"]
    assert report["statuses"] == {"200": report["requests"]}
    assert plans <= 2
    return {**report, "plans": plans, "echoes": echoes}


async def test_nothing_fails_and_a_websocket_and_a_download_live_through(tmp_path: Path) -> None:
    await _live_through(tmp_path, reloads=20, pace=0, seconds=8)


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_a_hundred_reloads_within_a_download_of_a_minute(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seen = await _live_through(tmp_path, reloads=100, pace=PACE_SECONDS, seconds=60)
    # Figures worth keeping: `--junit-xml` writes them down.
    for name in ("requests", "failed", "late", "latency_ms", "plans", "echoes"):
        record_property(name, seen[name])
