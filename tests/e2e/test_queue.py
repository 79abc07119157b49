"""While every backend is full, requests wait within bounds."""

import asyncio

import pytest

from support.backend import OK, Backend
from support.message import Answer
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "runtime": {"workers": 2},
    "listeners": {
        "web": {},
        "short": {"pool": "short"},
        "ranked": {"pool": "ranked"},
        "retried": {"routes": [{"pool": "app", "retry": {"on": ["503"], "per_try_timeout": "10s"}}]},
    },
    "pools": {
        "app": {"backends": ["@app"], "max_in_flight": 1, "queue": {"size": 3, "timeout": "30s"}},
        "ranked": {
            "backends": ["@app"],
            "max_in_flight": 1,
            "queue": {"size": 9, "timeout": "30s", "priority": "header:X-Priority"},
        },
        "short": {"backends": ["@app"], "max_in_flight": 1, "queue": {"size": 3, "timeout": "200ms"}},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Gate:
    """Answers a request each time it is opened, and knows how many there were at once."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.opened = asyncio.Semaphore(0)
        self.inside = 0
        self.most = 0

    async def __call__(self, backend: Backend, peer: Peer) -> None:
        while True:
            backend.requests.append(await peer.request(within=None))
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.arrived.release()
            await self.opened.acquire()
            self.inside -= 1
            peer.send(OK)


async def _ask(stage: Stage, count: int, listener: str = "web") -> list[asyncio.Task[Answer]]:
    clients = [await stage.client(listener) for _ in range(count)]
    for client in clients:
        client.send(GET)
    return [asyncio.create_task(client.answer()) for client in clients]


async def test_a_request_waits_until_there_is_room(stage: Stage) -> None:
    stage.backend.behaviour = gate = Gate()
    answers = await _ask(stage, 4)
    for _ in range(4):
        await gate.arrived.acquire()
        gate.opened.release()
    assert [(await answer).status for answer in answers] == [200] * 4
    assert gate.most == 1


async def _counts(stage: Stage, pool: str = "app") -> dict[str, int]:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    counts: dict[str, int] = pools[pool]["queue"]
    return counts


async def test_one_more_than_the_queue_takes_is_told_when_to_come_back(stage: Stage) -> None:
    stage.backend.behaviour = gate = Gate()
    answers = await _ask(stage, 5)
    (refused,), waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    assert (refused.result().status, refused.result().value("Retry-After")) == (503, "1")
    for _ in waiting:
        gate.opened.release()
    assert [(await answer).status for answer in waiting] == [200] * 4


async def test_who_waited_too_long_gets_503(stage: Stage) -> None:
    stage.backend.behaviour = gate = Gate()
    (first,) = await _ask(stage, 1, "short")
    await gate.arrived.acquire()
    late = await stage.ask(GET, "short")
    assert (late.status, late.value("Retry-After")) == (503, "1")
    assert (await _counts(stage, "short"))["timed_out"] == 1
    gate.opened.release()
    assert (await first).status == 200


async def test_a_client_that_goes_away_leaves_the_queue(stage: Stage) -> None:
    stage.backend.behaviour = gate = Gate()
    (first,) = await _ask(stage, 1)
    await gate.arrived.acquire()
    for _ in range(3):
        client = await stage.client()
        client.send(GET)
        client.reset()
    await stage.until("fairlead_connections", 1)
    others = await _ask(stage, 3)
    for _ in range(4):
        gate.opened.release()
    assert [(await answer).status for answer in (first, *others)] == [200] * 4


async def test_a_queue_under_load_loses_nobody(stage: Stage) -> None:
    stage.backend.behaviour = gate = Gate()
    clients = [await stage.client() for _ in range(4)]
    for _ in range(50):
        for client in clients:
            client.send(GET)
            gate.opened.release()
        assert [(await client.answer()).status for client in clients] == [200] * 4
    assert gate.most == 1


async def _busy_once(backend: Backend, peer: Peer) -> None:
    for content in (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", OK, OK):
        backend.requests.append(await peer.request(within=None))
        peer.send(content)


async def test_a_further_try_finds_its_own_slot_free(stage: Stage) -> None:
    stage.backend.behaviour = _busy_once
    assert (await stage.ask(GET, "retried")).status == 200
    assert len(stage.backend.requests) == 2


async def test_what_becomes_of_those_that_wait_is_counted(stage: Stage) -> None:
    name = "fairlead_queue_requests_total"
    outcomes = ("served", "timed_out", "refused")
    before = [await stage.metric(name, pool="app", outcome=outcome) for outcome in outcomes]
    stage.backend.behaviour = gate = Gate()
    answers = await _ask(stage, 4)
    await stage.until("fairlead_queue_waiting", 3, pool="app")
    assert (await _counts(stage))["waiting"] == 3
    assert (await stage.ask(GET)).status == 503
    for _ in answers:
        gate.opened.release()
    assert [(await answer).status for answer in answers] == [200] * 4
    after = [await stage.metric(name, pool="app", outcome=outcome) for outcome in outcomes]
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 0, 1]
    counts = await _counts(stage)
    assert [counts[outcome] for outcome in outcomes] == after
    assert counts["waiting"] == 0


async def test_the_highest_priority_is_next(stage: Stage) -> None:
    stage.backend.behaviour = gate = Gate()
    (first,) = await _ask(stage, 1, "ranked")
    await gate.arrived.acquire()
    answers = [first]
    for count, priority in enumerate([b"x", b"3", b"0", b"200", b"3"], 1):
        client = await stage.client("ranked")
        client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Priority: %s\r\n\r\n" % (count, priority))
        await stage.until("fairlead_queue_waiting", count, pool="ranked")
        answers.append(asyncio.create_task(client.answer()))
    for _ in answers:
        gate.opened.release()
    assert [(await answer).status for answer in answers] == [200] * 6
    order = [request.target for request in stage.backend.requests]
    # Among equals each worker serves its own first.
    assert (order[:2], set(order[2:4]), set(order[4:])) == (["/", "/4"], {"/2", "/5"}, {"/1", "/3"})
