"""Interim answers: 100 (Continue) comes from the backend, 103 goes on; other expectations are refused."""

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

WAITING = b"POST /in HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


async def test_client_continues_when_the_backend_says_so(stage: Stage) -> None:
    client = await stage.client()
    client.send(WAITING)
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    assert ("Expect", "100-continue") in fields
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (await client.head())[0] == "HTTP/1.1 100 Continue"
    client.send(b"hello")
    request = await peer.rest_of_request(start, fields)
    assert request.body == b"hello"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_client_that_does_not_wait_is_served_too(stage: Stage) -> None:
    client = await stage.client()
    client.send(WAITING + b"hello")
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    request = await peer.rest_of_request(start, fields)
    assert request.body == b"hello"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_refusal_instead_of_continue_reaches_the_client_before_its_body(stage: Stage) -> None:
    client = await stage.client()
    client.send(WAITING)
    peer = await stage.backend.accepted()
    await peer.head()
    peer.send(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
    answer = await client.answer()
    assert (answer.status, answer.body, answer.interim) == (401, b"no", ())
    # The length was announced and nothing of it came: the backend can't tell the next request from it.
    assert await peer.is_closed()


async def test_early_hints_are_passed_on(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n"
    )
    for sheet in "ab":
        start, fields = await client.head()
        assert start == "HTTP/1.1 103 Early Hints"
        assert fields == (("Link", f"</{sheet}.css>; rel=preload"),)
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_http_1_0_client_gets_no_interim_answer(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    answer = await client.answer()
    assert (answer.status, answer.interim, answer.body) == (200, (), b"ok")


@pytest.mark.parametrize("expectation", ["magic", "100-continue, magic", "100-continues"])
async def test_unknown_expectation_is_refused(stage: Stage, expectation: str) -> None:
    stage.backend.behaviour = answering(OK)
    answer = await stage.ask(
        f"POST / HTTP/1.1\r\nHost: a\r\nExpect: {expectation}\r\nContent-Length: 2\r\n\r\nhi".encode()
    )
    assert answer.status == 417
    assert stage.backend.requests == []


async def test_expectation_without_a_body_is_not_passed_on(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    answer = await stage.ask(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
    assert answer.status == 200
    assert stage.backend.requests[0].values("Expect") == []
