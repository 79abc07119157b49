"""How many connections may be open, in all and of one client: what is open is served, the next one waits."""

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "listeners": {"web": {"max_connections": 3}, "each": {"max_connections_per_client": 2}},
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_connection_beyond_the_maximum_waits_until_one_ends(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    clients = [await stage.client() for _ in range(3)]
    for client in clients:
        client.send(GET)
        assert (await client.answer()).status == 200
    late = await stage.client()
    late.send(GET)
    for client in clients:
        client.send(GET)
        assert (await client.answer()).status == 200, "who is in is served"
    assert await stage.metric("fairlead_connections", listener="web") == 3
    assert len(stage.backend.requests) == 6
    clients[0].close()
    assert (await late.answer()).status == 200


async def test_connection_beyond_the_maximum_of_a_client_is_told_so(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    clients = [await stage.client("each", source="127.0.0.8") for _ in range(2)]
    for client in clients:
        client.send(GET)
        assert (await client.answer()).status == 200
    third = await stage.client("each", source="127.0.0.8")
    third.send(GET)
    answer = await third.answer()
    assert (answer.status, answer.value("Retry-After"), answer.value("Connection")) == (503, "1", "close")
    assert (answer.value("Proxy-Status") or "").startswith("fairlead; error=connection_limit_reached")
    assert await third.is_closed()
    other = await stage.client("each", source="127.0.0.7")
    other.send(GET)
    assert (await other.answer()).status == 200, "another client has a count of its own"
    clients[0].close()
    await stage.until("fairlead_connections", 2, listener="each")
    again = await stage.client("each", source="127.0.0.8")
    again.send(GET)
    assert (await again.answer()).status == 200
