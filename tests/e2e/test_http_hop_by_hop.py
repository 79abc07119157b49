"""Fields that belong to one connection stay on it, both ways, also those that `Connection` names."""

import pytest

from support.backend import OK
from support.message import Fields
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOP = (
    "Connection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
    "Proxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\n"
)
DROPPED = {"connection", "x-private", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"}


def _names(fields: Fields) -> set[str]:
    return {name.lower() for name, _ in fields}


async def test_hop_by_hop_fields_of_a_request_are_dropped(stage: Stage) -> None:
    client = await stage.client()
    client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{HOP}X-Kept: 2\r\n\r\n".encode())
    peer, request = await stage.backend.received()
    assert not DROPPED & _names(request.fields)
    assert request.value("X-Kept") == "2"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_hop_by_hop_fields_of_an_answer_are_dropped(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(f"HTTP/1.1 200 OK\r\n{HOP}X-Kept: 2\r\nContent-Length: 2\r\n\r\nok".encode())
    answer = await client.answer()
    assert not DROPPED & _names(answer.fields)
    assert answer.value("X-Kept") == "2"


async def test_connection_cannot_take_away_what_the_message_needs(stage: Stage) -> None:
    client = await stage.client()
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length, X-Forwarded-For, X-Request-ID\r\n"
        b"Content-Length: 2\r\n\r\nhi"
    )
    peer, request = await stage.backend.received()
    assert (request.value("Host"), request.body) == ("a", b"hi")
    assert request.value("X-Forwarded-For") == "127.0.0.1"
    assert request.value("X-Request-ID")
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_upgrade_to_http_2_is_not_passed_on(stage: Stage) -> None:
    client = await stage.client()
    client.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    )
    peer, request = await stage.backend.received()
    assert not DROPPED & _names(request.fields), (
        "a tunnel in HTTP/2 would pass requests that nobody looked at"
    )
    peer.send(OK)
    assert (await client.answer()).body == b"ok"
