"""A TCP listener: bytes both ways untouched, each side ending as it likes, a backend for each session."""

import asyncio
import contextlib
import socket

import pytest

from support import metrics
from support.peer import Peer, ends_by_silence_alone
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

TUNNEL_TIMEOUT = 0.6
CONFIGURATION = {
    "listeners": {
        "web": {"protocol": "tcp"},
        "two": {"protocol": "tcp", "pool": "two"},
        "quick": {"protocol": "tcp", "pool": "quick"},
        "none": {"protocol": "tcp", "pool": "none"},
        "each": {"protocol": "tcp", "max_connections_per_client": 1},
        "full": {"protocol": "tcp", "pool": "full"},
        "waiting": {"protocol": "tcp", "pool": "waiting"},
        "sticky": {"protocol": "tcp", "pool": "sticky"},
    },
    "pools": {
        "app": {"backends": ["@app"]},
        "two": {"backends": ["@gone", "@app"]},
        "quick": {"backends": ["@app"], "timeouts": {"tunnel": f"{int(TUNNEL_TIMEOUT * 1000)}ms"}},
        "none": {"backends": ["@gone"]},
        "full": {"backends": ["@app"], "max_in_flight": 1},
        "waiting": {"backends": ["@app"], "max_in_flight": 1, "queue": {"size": 1, "timeout": "20s"}},
        "sticky": {
            "backends": ["@app", "@other"],
            "algorithm": {"consistent_hash": {"key": "client"}},
        },
    },
}


async def _session(stage: Stage, listener: str = "web") -> tuple[Peer, Peer]:
    client = await stage.client(listener)
    return client, await stage.backend.accepted()


async def _is_reset(stage: Stage, listener: str) -> None:
    """A client is reset, maybe before it knows that it is connected."""
    with pytest.raises(ConnectionResetError):
        await (await stage.client(listener)).end()


async def test_bytes_flow_both_ways(stage: Stage) -> None:
    client, peer = await _session(stage)
    client.send(b"\x00\xff\r\n\r\nGET")
    assert await peer.read(9) == b"\x00\xff\r\n\r\nGET"
    peer.send(b"pong")
    assert await client.read(4) == b"pong"
    client.send(b"again")
    assert await peer.read(5) == b"again"


async def test_server_may_speak_first(stage: Stage) -> None:
    client, peer = await _session(stage)
    peer.send(b"220 ready\r\n")
    assert await client.read(11) == b"220 ready\r\n"


async def test_client_that_ended_still_hears_the_backend(stage: Stage) -> None:
    client, peer = await _session(stage)
    client.send(b"last words")
    client.finish()
    assert await peer.end() == b"last words"
    peer.send(b"heard")
    assert await client.read(5) == b"heard"
    peer.finish()
    assert await client.end() == b""
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_backend_that_ended_still_hears_the_client(stage: Stage) -> None:
    if stage.tls:
        pytest.skip("asyncio has no half-close of TLS")
    client, peer = await _session(stage)
    peer.send(b"last words")
    peer.finish()
    assert await client.end() == b"last words"
    client.send(b"heard")
    assert await peer.read(5) == b"heard"
    client.finish()
    assert await peer.end() == b""


async def test_client_that_says_all_at_once_and_ends_is_answered(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"question")
    client.finish()
    peer = await stage.backend.accepted()
    assert await peer.end() == b"question"
    peer.send(b"answer")
    peer.finish()
    assert await client.end() == b"answer"


async def test_reset_of_the_client_is_a_reset_to_the_backend(stage: Stage) -> None:
    client, peer = await _session(stage)
    client.send(b"x")
    assert await peer.read(1) == b"x"
    client.reset()
    with pytest.raises(ConnectionResetError):
        await peer.end()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_reset_of_the_backend_is_a_reset_to_the_client(stage: Stage) -> None:
    client, peer = await _session(stage)
    peer.send(b"x")
    assert await client.read(1) == b"x"
    peer.reset()
    with pytest.raises(ConnectionResetError):
        await client.end()


async def test_reset_right_behind_bytes_is_a_reset_to_the_client(stage: Stage) -> None:
    client, peer = await _session(stage)
    peer.send(b"half of an answer")
    peer.reset()
    with pytest.raises(ConnectionResetError):
        await client.end()


async def test_reset_after_a_half_close_reaches_the_other_side(stage: Stage) -> None:
    client, peer = await _session(stage)
    client.finish()
    assert await peer.end() == b""
    client.reset()
    await stage.until("fairlead_active_connections", 0, pool="app")


async def test_backend_that_refuses_is_left_for_another(stage: Stage) -> None:
    await stage.backends["gone"].refuse()
    for _ in range(4):
        client, peer = await _session(stage, "two")
        client.send(b"hello")
        assert await peer.read(5) == b"hello"
    assert await stage.metric("fairlead_backend_failures_total", pool="two", kind="connect") > 0
    await stage.backends["gone"].listen()


async def test_session_without_a_backend_is_reset(stage: Stage) -> None:
    await stage.backends["gone"].refuse()
    before = await stage.metric("fairlead_sessions_total", listener="none", ended="no_backend")
    await _is_reset(stage, "none")
    await stage.until("fairlead_sessions_total", before + 1, listener="none", ended="no_backend")
    await stage.backends["gone"].listen()


async def test_silent_session_ends_by_its_timeout_and_a_busy_one_does_not(stage: Stage) -> None:
    client, peer = await _session(stage, "quick")
    await ends_by_silence_alone(client, peer, TUNNEL_TIMEOUT)


async def test_connection_beyond_the_maximum_of_a_client_is_closed_without_a_word(stage: Stage) -> None:
    client = await stage.client("each", source="127.0.0.8")
    peer = await stage.backend.accepted()
    with contextlib.suppress(ConnectionResetError):
        second = await stage.client("each", source="127.0.0.8")
        assert await second.is_closed()
    client.send(b"open")
    assert await peer.read(4) == b"open"


async def test_backends_take_no_more_sessions_than_they_may(stage: Stage) -> None:
    client, peer = await _session(stage, "full")
    await _is_reset(stage, "full")
    client.send(b"mine")
    assert await peer.read(4) == b"mine"


async def test_session_waits_in_the_queue_for_another_to_end(stage: Stage) -> None:
    client, peer = await _session(stage, "waiting")
    second = await stage.client("waiting")
    second.send(b"early")
    await _is_reset(stage, "waiting")
    client.finish()
    peer.finish()
    assert await (await stage.backend.accepted()).read(5) == b"early"


async def test_sessions_of_a_client_go_to_the_same_backend(stage: Stage) -> None:
    for _ in range(6):
        client = await stage.client("sticky", source="127.0.0.9")
        client.send(b"x")
        client.finish()
    both = (stage.backends["app"], stage.backends["other"])
    await stage.until("fairlead_backend_connections_total", 6, pool="sticky")
    assert 0 in {each.connections for each in both}


async def test_sessions_and_their_bytes_are_counted(stage: Stage) -> None:
    async def counted() -> list[float]:
        page = await stage.metrics()
        return [
            metrics.value(page, name, direction=direction, **labels)
            for name, labels in (
                ("fairlead_client_bytes_total", {"listener": "web"}),
                ("fairlead_backend_bytes_total", {"pool": "app"}),
            )
            for direction in ("sent", "received")
        ]

    ended = await stage.metric("fairlead_sessions_total", listener="web", ended="backend")
    before = await counted()
    client, peer = await _session(stage)
    client.send(b"12345")
    assert await peer.read(5) == b"12345"
    peer.send(b"123")
    assert await client.read(3) == b"123"
    assert await stage.metric("fairlead_active_connections", pool="app") == 1
    # While it is open: sessions may last for days.
    after = await counted()
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 5, 5, 3]
    peer.finish()
    await client.end()
    client.finish()
    await stage.until("fairlead_sessions_total", ended + 1, listener="web", ended="backend")
    ends = await stage.metric("fairlead_backend_sessions_total", pool="app", ended="backend")
    assert ends >= 1
    (listener,) = [each for each in (await stage.fairlead.stats())["listeners"] if each["name"] == "web"]
    assert listener["sessions"]["backend"] >= 1
    families = await stage.metrics()
    connects = families["fairlead_session_connect_seconds"].samples
    assert connects["fairlead_session_connect_seconds_count", (("listener", "web"),)] >= 1


async def test_client_that_is_gone_gets_no_backend(stage: Stage) -> None:
    client = await stage.client()
    peer = await stage.backend.accepted()
    client.reset()
    assert await peer.is_closed()


async def test_urgent_small_writes_are_not_held_back(stage: Stage) -> None:
    client, peer = await _session(stage)
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(50):
        client.send(b"a")
        assert await peer.read(1) == b"a"
        peer.send(b"b")
        assert await client.read(1) == b"b"
    # Nagle with delayed acknowledgements would cost 40 ms each.
    assert loop.time() - began < 1.5
