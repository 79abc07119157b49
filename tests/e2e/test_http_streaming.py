"""Large bodies stream through under backpressure: the engine's memory stays where it was."""

import asyncio
import re
from pathlib import Path

import pytest

from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

SIZE = 256 * 2**20
PIECE = b"x" * 2**20
GROWTH = 8 * 2**20


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


async def _give(peer: Peer, *, chunked: bool) -> None:
    for _ in range(SIZE // len(PIECE)):
        peer.send(b"%x\r\n" % len(PIECE) if chunked else b"", PIECE, b"\r\n" if chunked else b"")
        await peer.writer.drain()
    peer.send(b"0\r\n\r\n" if chunked else b"")


async def _take(peer: Peer, engine: int) -> tuple[int, int]:
    """Read to the end of the body; how many bytes came, and the most memory the engine had meanwhile."""
    received = most = 0
    while received < SIZE:
        piece = await peer.reader.read(2**20)
        assert piece
        received += len(piece)
        most = max(most, _resident(engine))
    return received, most


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("direction", ["request", "answer"])
async def test_memory_does_not_grow_with_the_body(stage: Stage, direction: str, framing: str) -> None:
    chunked = framing == "chunked"
    field = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % (field if direction == "request" else b"X: y"))
    peer = await stage.backend.accepted()
    await peer.head()
    before = _resident(stage.engine)
    sender, receiver = (client, peer) if direction == "request" else (peer, client)
    if direction == "answer":
        peer.send(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % field)
        await client.head()
    giving = asyncio.create_task(_give(sender, chunked=chunked))
    received, most = await _take(receiver, stage.engine)
    await giving
    assert received >= SIZE
    assert most - before < GROWTH, f"it grew by {(most - before) / 2**20:.1f} MiB"


@pytest.mark.parametrize("direction", ["request", "answer"])
async def test_receiver_that_does_not_read_holds_the_sender_back(stage: Stage, direction: str) -> None:
    client = await stage.client(buffer=65536)
    field = b"Content-Length: %d" % SIZE
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % (field if direction == "request" else b"X: y"))
    peer = await stage.backend.accepted()
    await peer.head()
    if direction == "answer":
        peer.send(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % field)
        await client.head()
    sender, receiver = (client, peer) if direction == "request" else (peer, client)
    receiver.reader._transport.pause_reading()  # noqa: SLF001 - streams read on their own otherwise
    before = _resident(stage.engine)
    giving = asyncio.create_task(_give(sender, chunked=False))
    # The kernel's buffers fill up, and then nothing more is taken, however often the engine could.
    taken, unchanged = -1, 0
    while unchanged < 50:
        await stage.metrics()
        unsent = _unsent(sender)
        taken, unchanged = unsent, unchanged + 1 if unsent == taken else 0
    assert not giving.done()
    assert _resident(stage.engine) - before < GROWTH
    giving.cancel()


def _unsent(peer: Peer) -> int:
    """What waits in this process to be sent."""
    return peer.writer.transport.get_write_buffer_size()
