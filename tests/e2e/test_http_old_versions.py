"""HTTP/1.0 on either side."""

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


async def test_old_client_is_spoken_for_in_http_1_1(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(b"GET /x HTTP/1.0\r\n\r\n")
    answer = await client.answer()
    assert answer.body == b"ok"
    assert await client.is_closed(), "an HTTP/1.0 client that asked for nothing else expects the end"
    (request,) = stage.backend.requests
    assert request.start[2] == "HTTP/1.1"
    assert request.values("Host") == [""]


async def test_old_client_that_asks_for_it_keeps_its_connection(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    for _ in range(2):
        client.send(b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.answer()
        assert (answer.body, (answer.value("Connection") or "").lower()) == (b"ok", "keep-alive")


async def test_old_client_gets_chunks_as_plain_bytes_until_the_end(stage: Stage) -> None:
    stage.backend.behaviour = answering(CHUNKED)
    client = await stage.client()
    client.send(b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    answer = await client.answer()
    assert (answer.framing, answer.body, answer.complete) == ("close", b"hello", True)
    assert (answer.value("Connection") or "").lower() in {"", "close"}


async def test_cut_answer_to_an_old_client_ends_by_a_reset(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    peer.finish()
    answer = await client.answer()
    assert not answer.complete, "its end is its only sign of completeness"


async def test_old_backend_that_closes_is_relayed_whole(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
    peer.finish()
    answer = await client.answer()
    assert (answer.start[0], answer.framing, answer.body, answer.complete) == (
        "HTTP/1.1",
        "chunked",
        b"hello",
        True,
    )
    client.send(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    other, _ = await stage.backend.received()
    other.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_old_backend_that_keeps_alive_is_reused(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    answer = await client.answer()
    assert (answer.body, answer.value("Connection")) == (b"ok", None)
    client.send(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await peer.request()).target == "/2"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"
