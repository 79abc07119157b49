"""Backends are judged by their traffic: left out when they fail, never all of them, and let back in."""

import asyncio

import pytest

from support.backend import OK, Backend, answering
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = {"cooldown": "200ms"}
CONFIGURATION = {
    "runtime": {"workers": 2},
    "listeners": {
        "web": {},
        "alone": {"pool": "alone"},
        "off": {"pool": "off"},
        "erring": {"pool": "erring"},
    },
    "pools": {
        "app": {"backends": ["127.0.0.1:1", "@app"]},
        "alone": {"backends": ["127.0.0.1:1"]},
        "off": {"backends": ["127.0.0.1:1", "@app"], "passive_health": "off"},
        "erring": {"backends": ["@erring", "@app"], "passive_health": SOON},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SORRY = b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"


class _ErringNowAndThen:
    """Answers each third request with an error until it heals, also on connections that are open."""

    is_sick = True

    async def __call__(self, backend: Backend, peer: Peer) -> None:
        while True:
            backend.requests.append(await peer.request(within=None))
            peer.send(SORRY if self.is_sick and len(backend.requests) % 3 == 0 else OK)


async def _backend(stage: Stage, pool: str, index: int = 0) -> dict[str, object]:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    found: dict[str, object] = pools[pool]["backends"][index]
    return found


async def _becomes(stage: Stage, pool: str, *states: str) -> dict[str, object]:
    async with asyncio.timeout(60):
        while (found := await _backend(stage, pool))["state"] not in states:
            pass
    return found


async def _ask(stage: Stage, count: int, listener: str) -> list[int]:
    client = await stage.client(listener)
    statuses = []
    for _ in range(count):
        client.send(GET)
        statuses.append((await client.answer()).status)
    return statuses


async def _failures(stage: Stage, pool: str) -> float:
    return await stage.metric("fairlead_backend_failures_total", pool=pool, backend="127.0.0.1:1")


async def test_one_that_refuses_gets_nothing_after_its_first_failures(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    assert set(await _ask(stage, 10, "web")) == {200}
    found = await _becomes(stage, "app", "ejected")
    assert (found["share"], found["reason"]) == (0.0, "connections refused")
    before = await _failures(stage, "app")
    assert set(await _ask(stage, 100, "web")) == {200}
    assert await _failures(stage, "app") == before <= 6


async def test_the_last_usable_one_is_not_ejected(stage: Stage) -> None:
    assert set(await _ask(stage, 20, "alone")) <= {502, 503}
    before = await _failures(stage, "alone")
    assert (await _backend(stage, "alone"))["state"] == "up"
    await _ask(stage, 5, "alone")
    assert await _failures(stage, "alone") > before


async def test_off_judges_nobody(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    assert set(await _ask(stage, 40, "off")) == {200}
    assert await _failures(stage, "off") == 20


async def test_one_with_more_errors_gets_less_and_comes_back(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    erring = stage.backends["erring"].behaviour = _ErringNowAndThen()
    async with asyncio.timeout(60):
        while (found := await _backend(stage, "erring"))["state"] == "up":
            await _ask(stage, 50, "erring")
    assert (found["state"], found["reason"]) == ("degraded", "more errors than the others")
    share = found["share"]
    assert isinstance(share, float)
    assert 0.04 < share < 0.5
    erring.is_sick = False
    async with asyncio.timeout(60):
        while (found := await _backend(stage, "erring"))["state"] != "up":
            await _ask(stage, 50, "erring")
    assert found["share"] == 1.0
