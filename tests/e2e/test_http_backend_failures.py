"""What a client is told when no backend can be had or one fails: 502, 503 and 504, each with its reason."""

import asyncio
import contextlib
import socket

import pytest

from support.message import Answer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESPONSE = 0.4
CONFIGURATION = {
    "listeners": {
        "web": {},
        "slow": {"routes": [{"timeouts": {"response": "400ms"}, "pool": "app"}]},
        "whole": {"routes": [{"timeouts": {"request": "400ms"}, "pool": "app"}]},
        "gap": {"routes": [{"timeouts": {"stream_idle": "400ms"}, "pool": "app"}]},
        "unix": {"pool": "unix"},
    },
    "pools": {
        "app": {"backends": ["@app"], "timeouts": {"connect": "300ms"}},
        "unix": {"backends": ["unix:/nowhere/at/all.sock"]},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def _error(answer: Answer) -> str:
    return (answer.value("Proxy-Status") or "").split(";")[1].strip().removeprefix("error=")


async def test_backend_that_refuses_is_a_502(stage: Stage) -> None:
    await stage.backend.refuse()
    answer = await stage.ask(GET)
    await stage.backend.listen()
    assert (answer.status, _error(answer)) == (502, "connection_refused")


async def test_backend_that_is_not_there_is_a_502(stage: Stage) -> None:
    assert (await stage.ask(GET, "unix")).status == 502


async def test_backend_that_does_not_accept_is_a_504(stage: Stage) -> None:
    port = int(stage.backend.address.rpartition(":")[2])
    await stage.backend.refuse()
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", port))
        deaf.listen(0)
        # A queue of no places has one; what comes after it is neither accepted nor refused.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - its name says it
            waiting.connect_ex(("127.0.0.1", port))
        answer = await stage.ask(GET)
    await stage.backend.listen()
    assert (answer.status, _error(answer)) == (504, "connection_timeout")


async def test_backend_that_closes_without_an_answer_is_a_502(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    peer, _ = await stage.backend.received()
    peer.close()
    answer = await client.answer()
    assert (answer.status, _error(answer)) == (502, "connection_terminated")


async def test_backend_that_closes_within_its_head_is_a_502(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-")
    peer.finish()
    answer = await client.answer()
    assert (answer.status, _error(answer)) == (502, "http_response_incomplete")


@pytest.mark.parametrize("listener", ["slow", "whole"])
async def test_backend_that_does_not_answer_in_time_is_a_504(stage: Stage, listener: str) -> None:
    loop = asyncio.get_running_loop()
    client = await stage.client(listener)
    began = loop.time()
    client.send(GET)
    peer, _ = await stage.backend.received()
    answer = await client.answer()
    assert (answer.status, _error(answer)) == (504, "http_response_timeout")
    assert RESPONSE <= loop.time() - began < RESPONSE + 2
    assert await peer.is_closed()
    client.send(GET)
    other, _ = await stage.backend.received()
    other.send(b"HTTP/1.1 204 -\r\n\r\n")
    assert (await client.answer()).status == 204, "the client's connection is as good as before"


@pytest.mark.parametrize("listener", ["gap", "whole"])
async def test_answer_that_stops_in_the_middle_ends_as_incomplete(stage: Stage, listener: str) -> None:
    client = await stage.client(listener)
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    answer = await client.answer()
    assert (answer.status, answer.body, answer.complete) == (200, b"hello", False)
    assert await peer.is_closed()


async def test_answer_that_drips_goes_on_as_long_as_no_gap_is_too_long(stage: Stage) -> None:
    client = await stage.client("gap")
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    for byte in b"hello":
        await asyncio.sleep(0.15)
        peer.send(bytes([byte]))
    answer = await client.answer()
    assert (answer.body, answer.complete) == (b"hello", True)
