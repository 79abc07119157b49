"""Connections to backends are kept and reused newest first; dead ones are noticed before they are used."""

import asyncio

import pytest

from support.backend import OK
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "listeners": {
        "web": {},
        "two": {"pool": "two"},
        "none": {"pool": "none"},
        "thrice": {"pool": "thrice"},
        "brief": {"pool": "brief"},
    },
    "pools": {
        "app": {"backends": ["@app"]},
        "two": {"backends": ["@app"], "idle_connections": {"max": 2}},
        "none": {"backends": ["@app"], "idle_connections": {"max": 0}},
        "thrice": {"backends": ["@app"], "idle_connections": {"max_uses": 3}},
        "brief": {"backends": ["@app"], "idle_connections": {"timeout": "300ms"}},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


async def _several(stage: Stage, count: int, listener: str = "web") -> list[Peer]:
    """As many connections to the backend as there are requests at once; idle in this order."""
    clients = [await stage.client(listener) for _ in range(count)]
    peers = []
    for client in clients:
        client.send(GET)
        peers.append((await stage.backend.received())[0])
    for client, peer in zip(clients, peers, strict=True):
        peer.send(OK)
        assert (await client.answer()).body == b"ok"
    return peers


async def _served_by(stage: Stage, peer: Peer, listener: str = "web", request: bytes = GET) -> None:
    client = await stage.client(listener)
    client.send(request)
    await peer.request()
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_large_answer_leaves_its_connection_usable(stage: Stage) -> None:
    body = b"x" * (1 << 20)
    (peer,) = await _several(stage, 1)
    client = await stage.client()
    for _ in range(3):
        client.send(GET)
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await client.answer()).body == body
    assert stage.backend.untouched()


async def test_newest_idle_connection_is_taken_first(stage: Stage) -> None:
    _, _, newest = await _several(stage, 3)
    for _ in range(5):
        await _served_by(stage, newest)
    assert stage.backend.untouched()


async def test_connections_are_shared_by_clients(stage: Stage) -> None:
    (peer,) = await _several(stage, 1)
    for _ in range(5):
        await _served_by(stage, peer)


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_dead_connection_is_noticed_before_a_post_is_lost_on_it(stage: Stage, end: str) -> None:
    alive, dead = await _several(stage, 2)
    getattr(dead, end)()
    await dead.writer.wait_closed()
    await _served_by(stage, alive, request=POST)
    assert stage.backend.untouched()
    assert await stage.metric("fairlead_backend_failures_total", pool="app", kind="reset") == 0


async def test_bytes_on_an_idle_connection_end_it(stage: Stage) -> None:
    (peer,) = await _several(stage, 1)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert await peer.is_closed()
    client = await stage.client()
    client.send(GET)
    other, _ = await stage.backend.received()
    other.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_no_more_than_the_maximum_is_kept(stage: Stage) -> None:
    peers = await _several(stage, 4, "two")
    await stage.until("fairlead_idle_connections", 2, pool="two")
    ended = [asyncio.create_task(peer.is_closed()) for peer in peers]
    done, kept = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 2:
        more, kept = await asyncio.wait(kept, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert all(task.result() for task in done)
    await stage.until("fairlead_idle_connections", 2, pool="two")
    for task in kept:
        task.cancel()


async def test_none_is_kept_where_none_may_be(stage: Stage) -> None:
    (peer,) = await _several(stage, 1, "none")
    assert await peer.is_closed()


async def test_connection_is_given_up_after_its_uses(stage: Stage) -> None:
    (peer,) = await _several(stage, 1, "thrice")
    for _ in range(2):
        await _served_by(stage, peer, "thrice")
    assert await peer.is_closed()


async def test_idle_connection_is_closed_after_its_time(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    (peer,) = await _several(stage, 1, "brief")
    began = loop.time()
    assert await peer.is_closed()
    assert 0.25 <= loop.time() - began < 2.5
