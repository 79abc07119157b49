"""Many bytes through a TCP listener: the same at the other end, moved by the kernel, in little memory."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from support.process import configuration, run, write

MIB = 1024 * 1024


async def _send(writer: asyncio.StreamWriter, mebibytes: int, seed: int) -> str:
    """Send so much, no mebibyte like another; its digest."""
    digest = hashlib.sha256()
    block = hashlib.shake_256(bytes([seed])).digest(MIB)
    for number in range(mebibytes):
        piece = number.to_bytes(8, "big") + block[8:]
        digest.update(piece)
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    return digest.hexdigest()


async def _receive(reader: asyncio.StreamReader) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    while piece := await reader.read(4 * MIB):
        digest.update(piece)
        count += len(piece)
    return count, digest.hexdigest()


async def _both_ways(folder: Path, mebibytes: int, *, unix: bool = False) -> None:
    backend: asyncio.Future[tuple[str, tuple[int, str]]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent, received = await asyncio.gather(_send(writer, mebibytes, 2), _receive(reader))
        backend.set_result((sent, received))
        writer.close()

    if unix:
        server = await asyncio.start_unix_server(serve, folder / "backend.sock", limit=4 * MIB)
        address = f"unix:{folder / 'backend.sock'}"
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4 * MIB)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    wanted = configuration(folder, address)
    wanted["listeners"]["web"]["protocol"] = "tcp"
    if unix:
        wanted["listeners"]["web"]["bind"] = f"unix:{folder / 'web.sock'}"
    file = folder / "fairlead.json"
    write(file, wanted)
    async with server, run(file, folder) as fairlead:
        if unix:
            reader, writer = await asyncio.open_unix_connection(folder / "web.sock", limit=4 * MIB)
        else:
            host, _, port = (await fairlead.address()).rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=4 * MIB)
        sent, received = await asyncio.gather(_send(writer, mebibytes, 1), _receive(reader))
        sent_back, received_there = await backend
        assert received_there == (mebibytes * MIB, sent)
        assert received == (mebibytes * MIB, sent_back)
        stats = await fairlead.stats()
        (listener,) = stats["listeners"]
        # But for what came before it showed that much comes. A Unix socket holds less: less comes at a time.
        assert listener["spliced_bytes"] > mebibytes * MIB // (10 if unix else 1)
        assert stats["rss_bytes"] < 100 * MIB
        writer.close()


async def test_mebibytes_both_ways_at_once_are_the_same(tmp_path: Path) -> None:
    await _both_ways(tmp_path, 64)


async def test_mebibytes_between_unix_sockets_are_the_same(tmp_path: Path) -> None:
    await _both_ways(tmp_path, 64, unix=True)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_ten_gibibytes_both_ways_at_once_are_the_same(tmp_path: Path) -> None:
    await _both_ways(tmp_path, 10 * 1024)
