"""A connection that switches protocols becomes a tunnel: bytes both ways, each side ending on its own."""

import asyncio

import pytest
import websockets

from support.backend import OK, SWITCHING
from support.message import Message
from support.peer import Peer, ends_by_silence_alone
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

TUNNEL_TIMEOUT = 0.6
CONFIGURATION = {
    "listeners": {"web": {}, "quick": {"pool": "quick"}},
    "pools": {
        "app": {"backends": ["@app"]},
        "quick": {"backends": ["@app"], "timeouts": {"tunnel": f"{int(TUNNEL_TIMEOUT * 1000)}ms"}},
    },
}
ASKING = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\n"


async def _tunnel(stage: Stage, listener: str = "web") -> tuple[Peer, Peer]:
    client = await stage.client(listener)
    client.send(ASKING)
    peer, request = await stage.backend.received()
    assert _asked_for(request) == ("upgrade", "chat")
    peer.send(SWITCHING)
    answer = await client.answer()
    assert answer.status == 101
    assert _asked_for(answer) == ("upgrade", "chat")
    return client, peer


def _asked_for(message: Message) -> tuple[str, str | None]:
    return (message.value("Connection") or "").lower(), message.value("Upgrade")


async def test_http_2_is_no_choice_and_what_stands_beside_it_is_one(stage: Stage) -> None:
    client = await stage.client()
    client.send(ASKING.replace(b": chat", b": h2c, chat"))
    peer, request = await stage.backend.received()
    assert _asked_for(request) == ("upgrade", "chat")
    peer.send(SWITCHING)
    assert (await client.answer()).status == 101


async def test_answer_that_wants_another_protocol_says_which(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(
        b"HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, X-Hop\r\nUpgrade: h2c, chat\r\nX-Hop: 1\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    answer = await client.answer()
    assert (answer.status, *_asked_for(answer), answer.value("X-Hop")) == (426, "upgrade", "chat", None)


async def test_bytes_flow_both_ways(stage: Stage) -> None:
    client, peer = await _tunnel(stage)
    client.send(b"ping\x00\r\n\r\n")
    assert await peer.read(9) == b"ping\x00\r\n\r\n"
    peer.send(b"pong")
    assert await client.read(4) == b"pong"


async def test_bytes_right_behind_the_heads_are_the_tunnels(stage: Stage) -> None:
    client = await stage.client()
    client.send(ASKING + b"early")
    peer, _ = await stage.backend.received()
    peer.send(SWITCHING + b"first")
    assert (await client.answer()).status == 101
    assert await client.read(5) == b"first"
    assert await peer.read(5) == b"early"


async def test_client_that_ended_still_hears_the_backend(stage: Stage) -> None:
    client, peer = await _tunnel(stage)
    client.send(b"last words")
    client.finish()
    assert await peer.end() == b"last words"
    peer.send(b"heard")
    assert await client.read(5) == b"heard"
    peer.finish()
    assert await client.is_closed()


async def test_backend_that_ended_still_hears_the_client(stage: Stage) -> None:
    if stage.tls:
        pytest.skip("asyncio has no half-close of TLS")
    client, peer = await _tunnel(stage)
    peer.send(b"last words")
    peer.finish()
    assert await client.end() == b"last words"
    client.send(b"heard")
    assert await peer.read(5) == b"heard"
    client.finish()
    assert await peer.is_closed()


async def test_reset_of_one_side_ends_the_other(stage: Stage) -> None:
    client, peer = await _tunnel(stage)
    client.reset()
    assert await peer.is_closed()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_open_tunnel_counts_as_in_flight(stage: Stage) -> None:
    client, peer = await _tunnel(stage)
    assert await stage.metric("fairlead_active_connections", pool="app") == 1
    client.finish()
    peer.finish()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_silent_tunnel_ends_by_its_timeout_and_a_busy_one_does_not(stage: Stage) -> None:
    client, peer = await _tunnel(stage, "quick")
    await ends_by_silence_alone(client, peer, TUNNEL_TIMEOUT)


async def test_refused_upgrade_is_an_ordinary_answer(stage: Stage) -> None:
    client = await stage.client()
    client.send(ASKING)
    peer, _ = await stage.backend.received()
    peer.send(OK)
    assert (await client.answer()).body == b"ok"
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await peer.request()).target == "/next"
    peer.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_switch_that_nobody_asked_for_is_an_error(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(SWITCHING + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert (await client.answer()).status == 502
    assert await peer.is_closed()


async def test_websocket_messages_of_every_size_pass(stage: Stage) -> None:
    async def echo(connection: websockets.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0) as server:

        async def relay(_: object, peer: Peer) -> None:
            """The stage's backend hands the connection to the real server."""
            host, port = server.sockets[0].getsockname()[:2]
            reader, writer = await asyncio.open_connection(host, port)
            await asyncio.gather(_copy(peer.reader, writer), _copy(reader, peer.writer))

        stage.backend.behaviour = relay
        scheme, name = ("wss", {"server_hostname": "web.test"}) if stage.tls else ("ws", {})
        address = f"{scheme}://{stage.addresses['web']}/"
        async with websockets.connect(address, max_size=None, ssl=stage.tls, **name) as socket:
            for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000):
                await socket.send(b"x" * size)
                assert await socket.recv() == b"x" * size


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()
