"""A client or a backend that is slow, or gives a byte now and then, is ended by the timeout of its phase."""

import asyncio
import os
import socket

import pytest

from support.backend import OK
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

LIMIT = 0.5
LATE = 2.0
"""Allowed beyond the limit: its granularity of 100 ms, and a machine that is busy."""
CONFIGURATION = {
    "listeners": {
        "web": {"timeouts": {"header": "500ms", "body": "500ms", "write": "500ms", "idle": "500ms"}},
        # Only the lowest rate can end what never pauses for long.
        "patient": {"timeouts": {"body": "60s"}},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
PAUSE = 0.1


async def _drip(peer: Peer, content: bytes) -> None:
    for byte in content:
        if peer.writer.is_closing():
            return
        peer.send(bytes([byte]))
        await asyncio.sleep(PAUSE)


class _Clock:
    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()

    def check(self, limit: float = LIMIT) -> None:
        took = asyncio.get_running_loop().time() - self._began
        assert limit - 0.01 <= took < limit + LATE, f"it took {took:.2f} s"


async def test_client_that_says_nothing_is_let_go(stage: Stage) -> None:
    client, clock = await stage.client(), _Clock()
    assert await client.is_closed()
    clock.check()


async def test_connection_that_idles_is_let_go_without_a_word(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(OK)
    assert (await client.answer()).status == 200
    clock = _Clock()
    assert await client.is_closed()
    clock.check()


@pytest.mark.parametrize("nth", ["first", "second"])
async def test_dripping_head_is_a_408(stage: Stage, nth: str) -> None:
    client = await stage.client()
    if nth == "second":
        client.send(GET)
        peer, _ = await stage.backend.received()
        peer.send(OK)
        await client.answer()
    clock = _Clock()
    dripping = asyncio.create_task(_drip(client, GET * 2))
    answer = await client.answer()
    clock.check()
    assert (answer.status, answer.value("Connection")) == (408, "close")
    assert await client.is_closed()
    dripping.cancel()
    assert stage.backend.untouched() or nth == "second"


async def test_head_in_pieces_that_is_in_time_is_served(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET[:10])
    await asyncio.sleep(LIMIT / 3)
    client.send(GET[10:])
    peer, _ = await stage.backend.received()
    peer.send(OK)
    assert (await client.answer()).status == 200


async def test_body_that_stops_is_a_408_and_frees_the_backend(stage: Stage) -> None:
    client = await stage.client()
    client.send(POST, b"begun")
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    clock = _Clock()
    answer = await client.answer()
    clock.check()
    assert (answer.status, answer.value("Connection")) == (408, "close")
    assert not (await peer.rest_of_request(start, fields)).complete
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_body_that_waits_for_the_backend_is_not_the_clients_fault(stage: Stage) -> None:
    size = 20_000_000
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size)
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    peer.writer.transport.pause_reading()
    # Longer than `body`: all the while it is the backend that doesn't take what is there.
    await asyncio.sleep(LIMIT * 1.5)
    peer.writer.transport.resume_reading()
    assert len((await peer.rest_of_request(start, fields)).body) == size
    peer.send(OK)
    assert (await client.answer()).status == 200


async def test_client_that_does_not_read_is_cut_and_frees_the_backend(stage: Stage) -> None:
    client = await stage.client(buffer=4096)
    client.send(GET)
    peer, _ = await stage.backend.received()
    clock = _Clock()
    client.writer.transport.pause_reading()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x" * 32_000_000)
    assert await peer.is_closed()
    clock.check()
    await stage.until("fairlead_active_connections", 0, pool="app")
    client.writer.transport.resume_reading()
    with pytest.raises(ConnectionResetError):
        await client.end()


async def test_client_that_reads_slowly_but_steadily_is_served(stage: Stage) -> None:
    client = await stage.client(buffer=65536)
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x" * 32_000_000)
    await client.head()
    for _ in range(15):
        await asyncio.sleep(PAUSE)
        await client.read(65536)


async def test_body_that_drips_below_the_lowest_rate_is_ended_after_five_seconds(stage: Stage) -> None:
    client, clock = await stage.client("patient"), _Clock()
    client.send(POST)
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    dripping = asyncio.create_task(_drip(client, b"x" * 1000))
    answer = await client.answer()
    clock.check(5.0)
    assert (answer.status, answer.value("Connection")) == (408, "close")
    request = await peer.rest_of_request(start, fields)
    assert (request.complete, request.body.strip(b"x")) == (False, b"")
    dripping.cancel()


async def test_client_that_sips_its_answer_is_ended_too(stage: Stage) -> None:
    """With a window that opens seldom, sips are silence: `write` ends them as such."""
    client, clock = await stage.client(buffer=4096), _Clock()
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x" * 32_000_000)
    sipping = asyncio.create_task(_sip(client))
    assert await peer.is_closed()
    clock.check()
    sipping.cancel()


async def _sip(client: Peer) -> None:
    client.writer.transport.pause_reading()
    # A transport reads as much as there is; this reads of the same socket, a few bytes at a time.
    with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as sock:
        while True:
            await asyncio.sleep(PAUSE)
            sock.recv(8)
