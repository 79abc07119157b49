"""Answers that have no body by rule: to HEAD, 204 and 304. What they say of one goes on where it may."""

import pytest

from support.backend import OK
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("framing", ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""])
async def test_answer_to_head_keeps_its_framing_and_has_no_body(stage: Stage, framing: str) -> None:
    client = await stage.client()
    client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, request = await stage.backend.received()
    assert request.method == "HEAD"
    peer.send(f"HTTP/1.1 200 OK\r\n{framing}ETag: x\r\n\r\n".encode())
    answer = await client.answer("HEAD")
    assert (answer.status, answer.value("ETag")) == (200, "x")
    assert answer.value("Content-Length") == ("5" if "Length" in framing else None)
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await peer.request()).target == "/next", "both connections are free for the next request"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
async def test_204_and_304_end_with_their_head(stage: Stage, status: int) -> None:
    client = await stage.client()
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    length = b"Content-Length: 7\r\n" if status == 304 else b""
    peer.send(b"HTTP/1.1 %d -\r\n%s\r\n" % (status, length))
    answer = await client.answer()
    assert (answer.status, answer.body) == (status, b"")
    assert answer.value("Content-Length") == ("7" if status == 304 else None)
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await peer.request()).target == "/next"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_refusal_of_a_head_request_has_no_body(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n")
    answer = await client.answer("HEAD")
    assert answer.status == 400
    assert await client.is_closed()
