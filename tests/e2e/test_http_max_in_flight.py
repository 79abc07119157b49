"""A backend that has all it may have is passed over; when all have, the client is told to come back."""

import pytest

from support.backend import OK
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "listeners": {"web": {}},
    "pools": {
        "app": {
            "algorithm": "first",
            "backends": [{"address": "@app", "max_in_flight": 1}, {"address": "@spare", "max_in_flight": 2}],
        }
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def _at_work(stage: Stage, backend: str) -> tuple[Peer, Peer]:
    """A client whose request has arrived at a backend that doesn't answer yet."""
    client = await stage.client()
    client.send(GET)
    peer, _ = await stage.backends[backend].received()
    return client, peer


async def test_full_backend_is_passed_over(stage: Stage) -> None:
    await _at_work(stage, "app")
    await _at_work(stage, "spare")
    assert await stage.metric("fairlead_active_connections", pool="app") == 2


async def test_all_full_is_a_503_that_says_when_to_come_back(stage: Stage) -> None:
    held = [await _at_work(stage, backend) for backend in ("app", "spare", "spare")]
    client = await stage.client()
    client.send(GET)
    answer = await client.answer()
    assert (answer.status, answer.value("Retry-After")) == (503, "1")
    assert (answer.value("Proxy-Status") or "").startswith("fairlead; error=connection_limit_reached")
    first, peer = held[0]
    peer.send(OK)
    assert (await first.answer()).body == b"ok"
    client.send(GET)
    await peer.request()
    peer.send(OK)
    assert (await client.answer()).body == b"ok", "the freed place is there for the next request"


async def test_place_is_free_again_after_every_kind_of_end(stage: Stage) -> None:
    for end in ("close", "reset"):
        client, peer = await _at_work(stage, "app")
        client.reset()
        assert await peer.is_closed()
        client, peer = await _at_work(stage, "app")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        await client.head()
        getattr(peer, end)()
        await client.received()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_idle_connections_do_not_count(stage: Stage) -> None:
    client, peer = await _at_work(stage, "app")
    peer.send(OK)
    assert (await client.answer()).body == b"ok"
    await stage.until("fairlead_idle_connections", 1, pool="app")
    await stage.until("fairlead_active_connections", 0, pool="app")
