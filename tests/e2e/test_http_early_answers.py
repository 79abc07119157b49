"""An answer that comes before the request ended is delivered; the rest of the request does no harm."""

import asyncio

import pytest

from support.backend import OK
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

REFUSAL = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"


async def test_early_answer_is_delivered_while_the_body_is_still_coming(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", b"x" * 10)
    peer = await stage.backend.accepted()
    await peer.head()
    peer.send(REFUSAL)
    start, _ = await client.head()
    assert start == "HTTP/1.1 403 No"
    assert await client.read(2) == b"no"


async def test_backend_that_answers_and_closes_gets_its_answer_through(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n", b"x" * 1_000_000)
    peer = await stage.backend.accepted()
    await peer.head()
    await peer.send_all(b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    peer.finish()
    answer = await client.answer()
    assert (answer.status, answer.body, answer.complete) == (403, b"no", True)


async def test_long_early_answer_and_long_request_flow_at_once(stage: Stage) -> None:
    size = 3_000_000
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    # All but its last byte: with that the answer is over, and with it the exchange.
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"a" * (size - 1))
    client.send(b"b" * size)
    answering = asyncio.create_task(client.answer())
    assert (await peer.rest_of_request(start, fields)).body == b"b" * size
    peer.send(b"a")
    assert (await answering).body == b"a" * size


async def test_unfinished_request_is_never_taken_for_the_next_one(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n")
    peer = await stage.backend.accepted()
    await peer.head()
    peer.send(REFUSAL)
    assert (await client.answer()).status == 403
    client.send(b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"[:40])
    await stage.until("fairlead_active_connections", 0, pool="app")
    later = await stage.client()
    later.send(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    other, request = await stage.backend.received()
    assert request.target == "/2"
    other.send(OK)
    assert (await later.answer()).body == b"ok"
