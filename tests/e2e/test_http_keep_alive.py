"""A client's connection carries many requests, also sent before the answers came, in their order."""

import statistics
import time

import pytest

from support.backend import OK, answering, closing_after
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")


def _get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def _saying(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_one_connection_serves_request_after_request(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    for number in range(20):
        client.send(_get(f"/{number}"))
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (200, None)
    assert [request.target for request in stage.backend.requests] == [f"/{number}" for number in range(20)]
    assert stage.backend.connections == 1


async def test_pipelined_requests_are_answered_in_their_order(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"".join(_get(f"/{number}") for number in range(5)))
    peer = await stage.backend.accepted()
    for number in range(5):
        request = await peer.request()
        assert request.target == f"/{number}"
        peer.send(_saying(b"answer %d" % number))
    for number in range(5):
        assert (await client.answer()).body == b"answer %d" % number


async def test_pipelined_bodies_are_told_apart(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
        b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
        _get("/3"),
    )
    for _ in range(3):
        assert (await client.answer()).body == b"ok"
    seen = [(request.method, request.target, request.body) for request in stage.backend.requests]
    assert seen == [("POST", "/1", b"one"), ("POST", "/2", b"two"), ("GET", "/3", b"")]


async def test_requests_behind_a_refused_one_are_not_served(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(_get("/1"), b"GET /2 HTTP/1.1\r\nHost : a\r\n\r\n", _get("/3"))
    assert (await client.answer()).status == 200
    assert (await client.answer()).status == 400
    assert await client.is_closed()
    assert [request.target for request in stage.backend.requests] == ["/1"]


async def test_client_that_says_close_gets_its_answer_and_the_end(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(_get("/1", "Connection: close"), _get("/2"))
    answer = await client.answer()
    assert (answer.body, answer.value("Connection")) == (b"ok", "close")
    assert await client.is_closed()
    assert [request.target for request in stage.backend.requests] == ["/1"]


async def test_half_closed_client_gets_the_answers_it_asked_for(stage: Stage) -> None:
    client = await stage.client()
    client.send(_get("/1"), _get("/2"))
    client.finish()
    peer = await stage.backend.accepted()
    for number in (1, 2):
        assert (await peer.request()).target == f"/{number}"
        peer.send(_saying(b"%d" % number))
    assert (await client.answer()).body == b"1"
    assert (await client.answer()).body == b"2"
    assert await client.is_closed()


async def test_refusal_that_needs_no_close_leaves_the_connection_open(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", _get("/after"))
    assert (await client.answer()).status == 200
    assert (await client.answer()).body == b"ok"
    assert [request.target for request in stage.backend.requests] == ["/after"]


@pytest.mark.parametrize(
    "answer",
    [
        _saying(b"whole"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole",
    ],
    ids=["length", "chunked", "until the end"],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_last_answer_of_a_connection_comes_at_once(
    stage: Stage, answer: bytes, version: str
) -> None:
    stage.backend.behaviour = closing_after(answer)
    took = []
    for _ in range(9):
        client = await stage.client()
        begun = time.monotonic()
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert (await client.answer()).body == b"whole"
        await client.closed()
        took.append(time.monotonic() - begun)
    # What is kept back to leave with the end waits 0.2 s for an end that doesn't come.
    assert statistics.median(took) < 0.15
