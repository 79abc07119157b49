"""A backend that mostly fails gets nothing for a while, then one request at a time."""

import asyncio

import pytest

from support.backend import OK, answering
from support.peer import HANG
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _pool(opened: str) -> dict[str, object]:
    breaker = {"error_rate": "50%", "min_requests": 5, "window": "60s", "open": opened}
    return {"backends": ["@bad", "@app"], "algorithm": "first", "circuit_breaker": breaker}


CONFIGURATION = {
    "listeners": {"long": {"pool": "long"}, "short": {"pool": "short"}},
    "pools": {"long": _pool("1h"), "short": _pool("100ms")},
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BAD = b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"


def _behave(stage: Stage) -> None:
    stage.backends["bad"].behaviour = answering(BAD)
    stage.backend.behaviour = answering(OK)


async def test_open_it_leaves_all_to_the_others(stage: Stage) -> None:
    _behave(stage)
    statuses = [(await stage.ask(GET, "long")).status for _ in range(10)]
    assert statuses == [500] * 5 + [200] * 5, "it opens at the fifth"


async def test_half_open_it_tries_one_request_and_closes_when_that_is_well(stage: Stage) -> None:
    _behave(stage)
    bad = stage.backends["bad"]
    assert [(await stage.ask(GET, "short")).status for _ in range(5)] == [500] * 5
    async with asyncio.timeout(HANG):
        while (await stage.ask(GET, "short")).status == 200:
            pass
    assert len(bad.requests) == 6, "the one on trial"
    await bad.clear()
    bad.behaviour = answering(OK)
    async with asyncio.timeout(HANG):
        while not bad.requests:
            assert (await stage.ask(GET, "short")).status == 200
    elsewhere = len(stage.backend.requests)
    assert [(await stage.ask(GET, "short")).status for _ in range(5)] == [200] * 5
    assert (len(bad.requests), len(stage.backend.requests)) == (6, elsewhere), "closed, it takes all again"
