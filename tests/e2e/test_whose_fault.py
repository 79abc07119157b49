"""A backend is judged by its own doing: what slow clients cause is held against nobody."""

import asyncio
from collections.abc import Callable

import pytest

from support.backend import OK, answering, closing_after
from support.peer import HANG, Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRIES = 3
BREAKER = {"error_rate": "50%", "min_requests": TRIES, "window": "60s", "open": "1h"}
TICK = "200ms"


def _impatient(pool: str) -> dict[str, object]:
    """A try may take a tick."""
    return {"routes": [{"pool": pool, "retry": {"on": ["503"], "per_try_timeout": TICK}}]}


BREAKS: dict[str, tuple[bytes, Callable[[Peer], None]]] = {
    "short": (b"Content-Length: 10\r\n\r\nhello", Peer.close),
    "reset": (b"Content-Length: 10\r\n\r\nhello", Peer.reset),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Peer.close),
    "malformed": (b"Transfer-Encoding: chunked\r\n\r\n", lambda peer: peer.send(b"no chunk\r\n")),
}
CONFIGURATION = {
    "listeners": {
        "expect": {"routes": [{"pool": "expect", "timeouts": {"response": TICK}}]},
        "expect-try": _impatient("expect-try"),
        "slow": _impatient("slow"),
        "late": _impatient("late"),
        "clock": _impatient("clock"),
        **{name: {"pool": name} for name in ("tired", "left", "unread", "streams", "row", *BREAKS)},
    },
    "pools": {
        "clock": {"backends": ["@silent"]},
        "row": {"backends": ["@bad", "@app"], "algorithm": "first"},
        **{
            name: {"backends": ["@app"], "circuit_breaker": BREAKER}
            for name in (
                "expect",
                "expect-try",
                "slow",
                "late",
                "tired",
                "left",
                "unread",
                "streams",
                *BREAKS,
            )
        },
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
BROKEN_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
LARGE = 16 * 1024 * 1024


async def _backend(stage: Stage, pool: str) -> dict[str, object]:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    found: dict[str, object] = pools[pool]["backends"][0]
    return found


async def _breaker(stage: Stage, pool: str) -> object:
    return (await _backend(stage, pool))["breaker"]


async def _pass(stage: Stage, ticks: int) -> None:
    """Let time pass, by the engine's own clock: each of these requests takes a tick."""
    for _ in range(ticks):
        assert (await stage.ask(GET, "clock")).status == 504


async def _uploads(stage: Stage, listener: str) -> list[tuple[Peer, Peer]]:
    """Requests whose bodies aren't sent while the backend has their heads: the clients' and its own ends."""
    found = []
    for _ in range(TRIES):
        client = await stage.client(listener)
        client.send(POST)
        peer = await stage.backend.accepted()
        await peer.head()
        found.append((client, peer))
    return found


@pytest.mark.parametrize("listener", ["expect", "expect-try"])
async def test_a_body_that_its_client_keeps_back_is_not_the_backend_s_delay(
    stage: Stage, listener: str
) -> None:
    for _ in range(TRIES):
        assert (await stage.ask(EXPECT, listener)).status == 504
    assert await _breaker(stage, listener) == "closed"
    assert await stage.metric("fairlead_backend_failures_total", pool=listener, kind="timeout") == 0
    for _ in range(TRIES):
        assert (await stage.ask(GET, listener)).status == 504
    assert await _breaker(stage, listener) == "open", "who has all of a request is late"


async def test_the_time_of_a_try_stands_still_while_the_client_s_body_is_waited_for(stage: Stage) -> None:
    uploads = await _uploads(stage, "slow")
    await _pass(stage, 2)
    for client, peer in uploads:
        client.send(b"hello")
        assert await peer.read(5) == b"hello"
        peer.send(OK)
        assert (await client.answer()).status == 200
    assert await _breaker(stage, "slow") == "closed"


async def test_the_time_of_a_try_begins_when_the_backend_has_the_body(stage: Stage) -> None:
    uploads = await _uploads(stage, "late")
    await _pass(stage, 1)
    for client, _ in uploads:
        client.send(b"hello")
    for client, _ in uploads:
        assert (await client.answer()).status == 504
    assert await _breaker(stage, "late") == "open"


async def test_a_backend_that_is_tired_of_a_slow_client_is_not_broken(stage: Stage) -> None:
    uploads = await _uploads(stage, "tired")
    await _pass(stage, 7)
    for client, peer in uploads:
        peer.reset()
        assert (await client.answer()).status == 502
    assert await _breaker(stage, "tired") == "closed"
    for client, peer in await _uploads(stage, "tired"):
        peer.reset()
        assert (await client.answer()).status == 502
    assert await _breaker(stage, "tired") == "open", "there was nothing to be tired of"


@pytest.mark.parametrize("way", BREAKS)
async def test_an_answer_that_breaks_off_is_the_backend_s_failure(stage: Stage, way: str) -> None:
    head, breaks = BREAKS[way]
    for _ in range(TRIES):
        client = await stage.client(way)
        client.send(GET)
        peer, _ = await stage.backend.received()
        peer.send(b"HTTP/1.1 200 OK\r\n", head)
        await client.head()
        breaks(peer)
        await client.received()
    assert await _breaker(stage, way) == "open"


async def test_answers_that_break_off_in_a_row_have_their_backend_left_out(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    stage.backends["bad"].behaviour = closing_after(BROKEN_OFF)
    async with asyncio.timeout(HANG):
        while (await _backend(stage, "row"))["state"] != "ejected":
            client = await stage.client("row")
            client.send(GET)
            await client.head()
            await client.closed()
    assert (await stage.ask(GET, "row")).status == 200


async def test_streams_that_go_on_are_good_answers_beside_errors(stage: Stage) -> None:
    streams = []
    for status in ["200"] * (TRIES + 2) + ["500"] * (TRIES + 1):
        client = await stage.client("streams")
        client.send(GET)
        peer, _ = await stage.backend.received()
        if status == "200":
            peer.send(b"HTTP/1.1 200 OK\r\n", BREAKS["chunks"][0])
            streams.append(client)
        else:
            peer.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            peer.close()
        await client.head()
    assert await _breaker(stage, "streams") == "closed"
    assert (await _backend(stage, "streams"))["state"] == "up"


async def test_an_answer_whose_client_leaves_is_no_failure(stage: Stage) -> None:
    for _ in range(TRIES):
        client = await stage.client("left")
        client.send(GET)
        peer, _ = await stage.backend.received()
        peer.send(BROKEN_OFF)
        await client.head()
        client.reset()
        assert await peer.is_closed()
    assert await _breaker(stage, "left") == "closed"


async def test_a_backend_that_is_tired_of_a_slow_reader_did_not_break_off(stage: Stage) -> None:
    answers = []
    for _ in range(TRIES):
        client = await stage.client("unread", buffer=4096)
        client.send(GET)
        peer, _ = await stage.backend.received()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE, bytes(LARGE - 1))
        await client.head()
        answers.append((client, peer))
    await _pass(stage, 7)
    for client, peer in answers:
        peer.reset()
        assert len(await client.received()) < LARGE
    assert await _breaker(stage, "unread") == "closed"
