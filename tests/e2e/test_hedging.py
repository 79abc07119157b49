"""A request whose backend takes its time is sent to a second one; the first answer counts."""

import asyncio
import contextlib
import itertools
from pathlib import Path

import pytest

from fairlead.testing.origin import Behaviour, Exchange, Origin
from support import load
from support.backend import OK, Backend, answering
from support.peer import Peer
from support.process import configuration, run, write
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _listener(pool: str, **hedge: object) -> dict[str, object]:
    return {"routes": [{"pool": pool, "hedge": hedge}]}


BOTH = {"backends": ["@slow", "@app"], "algorithm": "first"}
CONFIGURATION = {
    "listeners": {
        "web": _listener("app", after="50ms", budget="100%"),
        "scarce": _listener("scarce", after="50ms", budget="1%"),
        "only": _listener("only", after="50ms", budget="100%"),
        "observed": _listener("observed", after="p95", budget="100%"),
        "limited": _listener("limited", after="300ms", budget="100%"),
        "broken": _listener("broken", after="50ms", budget="100%"),
        "told": _listener("told", after="50ms", budget="100%"),
    },
    "pools": {
        "app": BOTH,
        "scarce": BOTH,
        "only": {"backends": ["@slow"]},
        "broken": {
            **BOTH,
            "circuit_breaker": {"min_requests": 1, "open": "50ms"},
            "passive_health": "off",
        },
        "observed": BOTH,
        "told": {**BOTH, "send_proxy": "v1"},
        "limited": {
            **BOTH,
            "max_in_flight": 1,
            "queue": {"size": 3, "timeout": "30s"},
        },
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
BODY = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
FIRST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"


async def _hangs(backend: Backend, peer: Peer) -> None:
    backend.requests.append(await peer.request(within=None))
    await asyncio.Event().wait()


async def _hedges(stage: Stage, pool: str) -> dict[str, int]:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    counts: dict[str, int] = pools[pool]["hedges"] or {"sent": 0, "won": 0}
    return counts


async def _backend(stage: Stage, pool: str, index: int) -> dict[str, object]:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    found: dict[str, object] = pools[pool]["backends"][index]
    return found


async def test_the_second_one_s_answer_is_the_client_s_and_the_first_one_s_connection_is_closed(
    stage: Stage,
) -> None:
    before = await _hedges(stage, "app")
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(GET)
    peer, _ = await stage.backends["slow"].received()
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"ok")
    assert await peer.is_closed()
    after = await _hedges(stage, "app")
    assert [after[key] - before[key] for key in ("sent", "won")] == [1, 1]
    slow = await _backend(stage, "app", 0)
    assert (slow["state"], slow["in_flight"], slow["resets"], slow["timeouts"]) == ("up", 0, 0, 0)
    client.send(GET)
    await stage.backends["slow"].received()
    assert (await client.answer()).status == 200, "the connection goes on"


async def test_a_first_answer_that_comes_late_but_first_counts(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    first, _ = await stage.backends["slow"].received()
    second, request = await stage.backend.received()
    assert (request.method, request.target) == ("GET", "/")
    first.send(FIRST)
    assert (await client.answer()).body == b"first"
    assert await second.is_closed()
    await stage.until("fairlead_active_connections", 0, pool="app")
    client.send(GET)
    assert (await first.request()).method == "GET", "its connection is kept"
    first.send(FIRST)
    assert (await client.answer()).body == b"first"


async def test_what_is_quick_is_sent_once(stage: Stage) -> None:
    stage.backends["slow"].behaviour = answering(OK)
    client = await stage.client()
    for _ in range(20):
        client.send(GET)
        assert (await client.answer()).status == 200
    assert stage.backend.untouched()


@pytest.mark.parametrize("request_", [POST, BODY], ids=["POST", "body"])
async def test_only_safe_requests_without_a_body_are_sent_twice(stage: Stage, request_: bytes) -> None:
    client = await stage.client()
    client.send(request_)
    slow, _ = await stage.backends["slow"].received()
    # Another request is hedged meanwhile.
    stage.backend.behaviour = answering(OK)
    assert (await stage.ask(GET)).status == 200
    assert len(stage.backend.requests) == 1
    slow.send(FIRST)
    assert (await client.answer()).body == b"first"
    assert len(stage.backend.requests) == 1


async def test_a_second_try_that_is_refused_leaves_the_first(stage: Stage) -> None:
    failures = "fairlead_backend_failures_total"
    before = await stage.metric(failures, pool="app", kind="connect")
    await stage.backend.refuse()
    client = await stage.client()
    client.send(GET)
    slow, _ = await stage.backends["slow"].received()
    await stage.until(failures, before + 1, pool="app", kind="connect")
    slow.send(FIRST)
    answer = await client.answer()
    await stage.backend.listen()
    assert answer.body == b"first"


async def test_a_first_try_that_breaks_leaves_the_second(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    slow, _ = await stage.backends["slow"].received()
    second, _ = await stage.backend.received()
    slow.reset()
    second.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_an_interim_answer_decides_too(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    slow, _ = await stage.backends["slow"].received()
    second, _ = await stage.backend.received()
    second.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    assert (await client.head())[0] == "HTTP/1.1 103 Early Hints"
    assert await slow.is_closed()
    second.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_a_client_that_goes_away_ends_both(stage: Stage) -> None:
    client = await stage.client()
    client.send(GET)
    slow, _ = await stage.backends["slow"].received()
    second, _ = await stage.backend.received()
    client.reset()
    assert await slow.is_closed()
    assert await second.is_closed()


async def test_one_backend_is_not_asked_twice(stage: Stage) -> None:
    client = await stage.client("only")
    client.send(GET)
    slow, _ = await stage.backends["slow"].received()
    stage.backend.behaviour = answering(OK)
    assert (await stage.ask(GET)).status == 200, "time enough has passed"
    slow.send(FIRST)
    assert (await client.answer()).body == b"first"
    assert (await _hedges(stage, "only"))["sent"] == 0


async def test_a_budget_bounds_second_tries(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    first = await stage.client("scarce")
    first.send(GET)
    assert (await first.answer()).body == b"ok", "one is always granted"
    slow = stage.backends["slow"]
    await slow.received()
    clients = [await stage.client("scarce") for _ in range(5)]
    for client in clients:
        client.send(GET)
    peers = [(await slow.received())[0] for _ in clients]
    # By the time that this one is hedged, which came later, the others might have been.
    assert (await stage.ask(GET)).status == 200
    for peer in peers:
        peer.send(FIRST)
    assert [(await client.answer()).body for client in clients] == [b"first"] * 5
    assert (await _hedges(stage, "scarce"))["sent"] == 1


async def test_who_waits_for_a_slot_comes_before_second_tries(stage: Stage) -> None:
    clients = [await stage.client("limited") for _ in range(3)]
    for client in clients:
        client.send(GET)
    first, _ = await stage.backends["slow"].received()
    second, _ = await stage.backend.received()
    await stage.until("fairlead_queue_waiting", 1, pool="limited")
    stage.backend.behaviour = answering(OK)
    for _ in range(8):
        assert (await stage.ask(GET)).status == 200, "hedged each time: so long they would have waited"
    first.send(FIRST)
    assert await first.request()
    first.send(FIRST)
    second.send(FIRST)
    assert [(await client.answer()).body for client in clients] == [b"first"] * 3
    assert (await _hedges(stage, "limited"))["sent"] == 0


async def test_what_a_breaker_tries_is_not_hedged(stage: Stage) -> None:
    slow = stage.backends["slow"]
    slow.behaviour = answering(b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n")
    stage.backend.behaviour = answering(OK)
    assert (await stage.ask(GET, "broken")).status == 500
    await slow.clear()
    async with asyncio.timeout(60):
        while (await _backend(stage, "broken", 0))["breaker"] != "half_open":
            pass
    client = await stage.client("broken")
    client.send(GET)
    peer, _ = await slow.received()
    for _ in range(3):
        assert (await stage.ask(GET)).status == 200, "hedged: so long the other has waited, too"
    assert (await _hedges(stage, "broken"))["sent"] == 0
    peer.send(FIRST)
    assert (await client.answer()).body == b"first"
    assert (await _backend(stage, "broken", 0))["breaker"] == "closed"


async def test_the_second_backend_is_told_who_the_client_is_as_the_first_one_is(stage: Stage) -> None:
    client = await stage.client("told")
    client.send(GET)
    first = await stage.backends["slow"].accepted()
    second = await stage.backend.accepted()
    headers = [await peer.reader.readline() for peer in (first, second)]
    host, port = client.writer.get_extra_info("sockname")
    assert all(header.startswith(f"PROXY TCP4 {host} ".encode()) for header in headers)
    assert all(f" {port} ".encode() in header for header in headers)
    await second.request()
    second.send(OK)
    assert (await client.answer()).body == b"ok"


async def test_after_enough_answers_the_observed_percentile_decides(stage: Stage) -> None:
    slow = stage.backends["slow"]
    slow.behaviour = answering(OK)
    stage.backend.behaviour = answering(OK)
    client = await stage.client("observed")
    for _ in range(150):
        client.send(GET)
        assert (await client.answer()).status == 200
    assert (await _hedges(stage, "observed"))["sent"] < 20, "few are later than most"
    await slow.clear()
    slow.behaviour = _hangs
    async with asyncio.timeout(60):
        while (await _hedges(stage, "observed"))["won"] == 0:
            one = asyncio.create_task(stage.ask(GET, "observed"))
            done, _ = await asyncio.wait({one}, timeout=3)
            if not done:
                one.cancel()
    assert (await stage.ask(GET, "observed")).status == 200


def _now_and_then_slow() -> Behaviour:
    """Answer one request of forty after 1.5 s."""
    numbers = itertools.count(1)

    async def behave(exchange: Exchange) -> None:
        if next(numbers) % 40 == 0:
            await asyncio.sleep(1.5)
        await exchange.answer(b"ok")

    return behave


async def test_the_tail_that_single_backends_make_is_cut(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        origins = [
            await stack.enter_async_context(Origin(_now_and_then_slow(), remember=False)) for _ in range(3)
        ]
        file = tmp_path / "fairlead.json"
        whole = configuration(tmp_path, *(origin.address for origin in origins))
        # A percentile would be that of a machine that is busy with other tests, too.
        routes = [{"pool": "app"}, {"pool": "app", "hedge": {"after": "250ms", "budget": "10%"}}]
        whole["listeners"] = {
            name: {"bind": f"127.0.0.{number}:0", "routes": [route]}
            for number, (name, route) in enumerate(zip(("plain", "web"), routes, strict=True), 1)
        }
        write(file, whole)
        fairlead = await stack.enter_async_context(run(file, tmp_path))
        found = {one["name"]: one["binds"][0]["bound"] for one in (await fairlead.status())["listeners"]}
        arguments = ("--rate", "200", "--connections", "32")
        plain = await load.run(found["plain"], *arguments, "--requests", "800")
        await load.run(found["web"], *arguments, "--requests", "400")
        hedged = await load.run(found["web"], *arguments, "--requests", "800")
        (pool,) = (await fairlead.status())["pools"]
    assert (plain["failed"], hedged["failed"]) == (0, 0)
    assert plain["latency_ms"]["p99"] > 1_400
    assert hedged["latency_ms"]["p99"] < plain["latency_ms"]["p99"] / 2
    assert pool["hedges"]["won"] >= 10
    assert pool["hedges"]["sent"] <= 0.11 * 1200
