"""A backend is killed under load: what had no answer goes to another; a cut answer shows that it was cut."""

import asyncio
from pathlib import Path

from support import load
from support.origins import origins
from support.process import Running, configuration, run, write

KILLS = 5
RATE = 2000


async def test_killed_backend_costs_no_get_whose_answer_had_not_begun(tmp_path: Path) -> None:
    async with origins("stays", "dies") as (stays, dies):
        config = tmp_path / "fairlead.json"
        write(config, configuration(tmp_path, stays.address, dies.address))
        async with run(config, tmp_path) as fairlead:
            traffic = await load.start(
                await fairlead.address(), "--rate", str(RATE), "--seconds", "6", "--connections", "32"
            )
            for _ in range(KILLS):
                await _requests_more(fairlead, RATE // 4)
                await dies.kill()
                await _requests_more(fairlead, RATE // 4)
                await dies.restart()
            report = await traffic.report()
            stats = await fairlead.stats()
    # An answer of 128 bytes is one segment: it can't be cut, so nothing may fail at all.
    assert report["failed"] == 0, report["failures"]
    failures = sum(backend["connect_failures"] + backend["resets"] for backend in _backends(stats))
    assert failures > 0, "five kills under load are seen and counted"


async def test_cut_answer_ends_as_incomplete(tmp_path: Path) -> None:
    async with origins("dies") as (dies,):
        config = tmp_path / "fairlead.json"
        write(config, configuration(tmp_path, dies.address))
        async with run(config, tmp_path) as fairlead:
            host, _, port = (await fairlead.address()).rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /slow/30 HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"content-length: 30" in head.lower()
            await reader.readexactly(1)
            await dies.kill()
            try:
                rest = await reader.read()
            except ConnectionResetError:
                rest = b""
            assert len(rest) < 29
            writer.close()
            stats = await fairlead.stats()
    assert [listener["incomplete"] for listener in stats["listeners"]] == [1]
    assert [backend["resets"] for backend in _backends(stats)] == [1]


def _backends(stats: dict) -> list[dict]:
    return [backend for pool in stats["pools"] for backend in pool["backends"]]


async def _requests_more(fairlead: Running, count: int) -> None:
    async def total() -> int:
        return sum(backend["requests"] for backend in _backends(await fairlead.stats()))

    before = await total()
    while await total() < before + count:
        pass
