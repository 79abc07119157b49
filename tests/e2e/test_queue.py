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
        "retried": {"routes": [{"pool": "app", "retry": {"on": ["503"], "per_try_timeout": "10s"}}]},
    },
    "pools": {
        "app": {"backends": ["@app"], "max_in_flight": 1, "queue": {"size": 3, "timeout": "30s"}},
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
