"""A client that goes away frees its backend at once, whatever was under way."""

import asyncio

import pytest

from support.backend import OK
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

CONFIGURATION = {"listeners": {"web": {}, "aborting": {"http": {"abort_on_close": True}}}}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_reset_while_the_backend_thinks_frees_it(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    peer, _ = await stage.backend.received()
    assert await stage.metric("fairlead_active_connections", pool="app") == 1
    client.reset()
    assert await peer.is_closed()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_reset_in_the_middle_of_an_answer_frees_the_backend(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    await client.head()
    client.reset()
    assert await peer.is_closed()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_reset_under_backpressure_frees_the_backend(stage: Stage) -> None:
    client = await stage.client(buffer=4096)
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x" * 32_000_000)
    await client.head()
    client.reset()
    await stage.until("fairlead_active_connections", 0, pool="app")
    # What was on its way is of no use to anybody: the backend is reset, or reads the end.
    assert await peer.is_closed()


async def test_reset_in_the_middle_of_a_body_frees_the_backend(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    await peer.read(5)
    client.reset()
    assert not (await peer.rest_of_request(start, fields)).complete
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_half_close_is_not_going_away(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    client.finish()
    peer, _ = await stage.backend.received()
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_half_close_is_going_away_where_it_is_said_so(stage: Stage) -> None:
    client = await stage.client("aborting")
    client.send(GET)
    peer, _ = await stage.backend.received()
    client.finish()
    assert await peer.is_closed()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_many_that_leave_together_leave_nothing(stage: Stage) -> None:
    clients = [await stage.client() for _ in range(30)]
    for client in clients:
        client.send(GET)
    peers = [(await stage.backend.received())[0] for _ in clients]
    for client in clients:
        client.reset()
    assert all(await asyncio.gather(*(peer.is_closed() for peer in peers)))
    await stage.until("fairlead_active_connections", 0, pool="app")
    await stage.until("fairlead_connections", 0, listener="web")
