"""`max_in_flight: adaptive`: as many requests as a backend answers without making them wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from support.backend import OK, Backend
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "runtime": {"workers": 2},
    "listeners": {"web": {}, "bounded": {"pool": "bounded"}},
    "pools": {
        "app": {
            "backends": ["@app"],
            "max_in_flight": "adaptive",
            "queue": {"size": 1000, "timeout": "30s"},
        },
        "bounded": {"backends": ["@app"], "max_in_flight": {"adaptive": {"min": 2, "max": 3}}},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


class Workshop:
    """Works on so many requests at a time; the others wait in it."""

    def __init__(self, places: int, work: float) -> None:
        self.places = asyncio.Semaphore(places)
        self.work = work

    async def __call__(self, backend: Backend, peer: Peer) -> None:
        while True:
            backend.requests.append(await peer.request(within=None))
            async with self.places:
                # What it does takes time; nothing is waited for.
                await asyncio.sleep(self.work)
            peer.send(OK)


async def _limit(stage: Stage, pool: str = "app") -> int:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    limit: int = pools[pool]["backends"][0]["max_in_flight"]
    return limit


@contextlib.asynccontextmanager
async def _clients(stage: Stage, count: int) -> AsyncIterator[None]:
    async def ask() -> None:
        client = await stage.client()
        while True:
            client.send(GET)
            assert (await client.answer()).status == 200

    tasks = [asyncio.create_task(ask()) for _ in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_begins_in_the_middle_and_is_shown(stage: Stage) -> None:
    assert await _limit(stage) == 20
    assert await stage.metric("fairlead_backend_max_in_flight", pool="app") == 20
    assert await _limit(stage, "bounded") == 3, "its most"


async def test_it_grows_while_answers_are_quick_and_shrinks_when_they_wait(stage: Stage) -> None:
    workshop = Workshop(50, 0.02)
    stage.backend.behaviour = workshop
    async with _clients(stage, 80), asyncio.timeout(60):
        while await _limit(stage) < 35:
            pass
        # It loses most of its places: the limit follows.
        for _ in range(45):
            await workshop.places.acquire()
        while await _limit(stage) > 25:
            pass


async def test_a_backend_that_says_it_is_busy_gets_less(stage: Stage) -> None:
    async def behave(backend: Backend, peer: Peer) -> None:
        while True:
            backend.requests.append(await peer.request(within=None))
            peer.send(BUSY)

    stage.backend.behaviour = behave
    client = await stage.client("bounded")
    async with asyncio.timeout(60):
        while await _limit(stage, "bounded") > 2:
            client.send(GET)
            assert (await client.answer()).status == 503
