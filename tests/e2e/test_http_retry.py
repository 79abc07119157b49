"""A backend that is not there is passed over; a reset is tried again once, where nothing is done twice."""

import pytest

from support.backend import OK, Backend, answering
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "listeners": {"web": {}},
    "pools": {"app": {"backends": ["@bad", "@app"], "algorithm": "first", "passive_health": "off"}},
}
BODY = b"Content-Length: 2\r\n\r\nhi"


async def _resets(backend: Backend, peer: Peer) -> None:
    backend.requests.append(await peer.request())
    peer.reset()


def _request(method: str, body: bytes = b"\r\n") -> bytes:
    return b"%s / HTTP/1.1\r\nHost: a\r\n%s" % (method.encode(), body)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_connect_failure_goes_to_the_next_whatever_the_method(stage: Stage, method: str) -> None:
    stage.backend.behaviour = answering(OK)
    before = await stage.metric("fairlead_backend_failures_total", kind="connect")
    await stage.backends["bad"].refuse()
    answer = await stage.ask(_request(method, BODY))
    await stage.backends["bad"].listen()
    assert answer.status == 200
    assert stage.backend.requests[0].body == b"hi"
    assert await stage.metric("fairlead_backend_failures_total", kind="connect") == before + 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_reset_of_a_safe_request_is_tried_once_more(stage: Stage, method: str) -> None:
    stage.backends["bad"].behaviour = _resets
    stage.backend.behaviour = answering(OK.removesuffix(b"ok") if method == "HEAD" else OK)
    answer = await stage.ask(_request(method), method=method)
    assert answer.status == 200
    assert len(stage.backends["bad"].requests) == 1
    assert len(stage.backend.requests) == 1


async def test_second_reset_is_told_to_the_client(stage: Stage) -> None:
    for backend in stage.backends.values():
        backend.behaviour = _resets
    answer = await stage.ask(_request("GET"))
    assert answer.status == 502
    assert [len(backend.requests) for backend in stage.backends.values()] == [1, 1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_reset_of_a_request_that_may_have_been_done_is_told_to_the_client(
    stage: Stage, method: str
) -> None:
    stage.backends["bad"].behaviour = _resets
    answer = await stage.ask(_request(method, BODY))
    assert answer.status == 502
    assert (answer.value("Proxy-Status") or "").startswith("fairlead; error=connection_terminated")
    assert stage.backend.untouched()


async def test_answer_that_has_begun_is_not_tried_again(stage: Stage) -> None:
    client = await stage.client()
    client.send(_request("GET"))
    peer, _ = await stage.backends["bad"].received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    assert (await client.head())[0].startswith("HTTP/1.1 200")
    peer.reset()
    assert await client.received() in {b"hello", b""}
    assert stage.backend.untouched()


async def test_answer_of_an_error_is_an_answer(stage: Stage) -> None:
    stage.backends["bad"].behaviour = answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
    assert (await stage.ask(_request("GET"))).reason == "Busy"
    assert stage.backend.untouched()
