"""A backend that mostly fails gets nothing for a while, then one request at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.backend import OK, Backend, answering
from support.peer import HANG, Peer
from support.process import Running, configuration, run, write
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


LONG = {"error_rate": "50%", "min_requests": 5, "window": "60s", "open": "1h"}


def _pool(opened: str) -> dict[str, object]:
    return {
        "backends": ["@bad", "@app"],
        "algorithm": "first",
        "circuit_breaker": {**LONG, "open": opened},
        "passive_health": "off",
    }


CONFIGURATION = {
    "listeners": {
        "long": {"pool": "long"},
        "short": {"pool": "short"},
        "left": {"pool": "left"},
        "endless": {"pool": "endless"},
        "kept": {"routes": [{"pool": "kept", "retry": {"on": ["500"], "backoff": "1ms"}}]},
    },
    "pools": {
        "long": _pool("1h"),
        "short": _pool("100ms"),
        "left": _pool("100ms"),
        "endless": _pool("100ms"),
        "kept": {**_pool("1h"), "backends": ["@bad"]},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BAD = b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"


async def _breaker(stage: Stage, pool: str) -> str:
    pools = {each["name"]: each for each in (await stage.fairlead.status())["pools"]}
    state: str = pools[pool]["backends"][0]["breaker"]
    return state


def _behave(stage: Stage) -> None:
    stage.backends["bad"].behaviour = answering(BAD)
    stage.backend.behaviour = answering(OK)


async def test_open_it_leaves_all_to_the_others(stage: Stage) -> None:
    _behave(stage)
    statuses = [(await stage.ask(GET, "long")).status for _ in range(10)]
    assert statuses == [500] * 5 + [200] * 5, "it opens at the fifth"
    assert await _breaker(stage, "long") == "open"


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


async def test_a_trial_whose_client_goes_away_is_had_by_the_next(stage: Stage) -> None:
    _behave(stage)
    bad = stage.backends["bad"]
    assert [(await stage.ask(GET, "left")).status for _ in range(5)] == [500] * 5
    await bad.clear()
    stage.backend.behaviour = answering(OK)
    # Nobody answers the trial; its client leaves.
    async with asyncio.timeout(HANG):
        while await _breaker(stage, "left") != "half_open":
            pass
    client = await stage.client("left")
    client.send(GET)
    await bad.received()
    assert (await stage.ask(GET, "left")).status == 200, "one at a time: this one goes to the other"
    client.reset()
    bad.behaviour = answering(OK)
    async with asyncio.timeout(HANG):
        while await _breaker(stage, "left") != "closed":
            assert (await stage.ask(GET, "left")).status == 200


async def test_a_trial_without_an_end_is_followed_by_another(stage: Stage) -> None:
    _behave(stage)
    bad = stage.backends["bad"]
    assert [(await stage.ask(GET, "endless")).status for _ in range(5)] == [500] * 5
    await bad.clear()
    stage.backend.behaviour = answering(OK)
    async with asyncio.timeout(HANG):
        while await _breaker(stage, "endless") != "half_open":
            pass
        client = await stage.client("endless")
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        await bad.accepted()
        bad.behaviour = answering(OK)
        while await _breaker(stage, "endless") != "closed":
            assert (await stage.ask(GET, "endless")).status == 200


async def test_a_reload_without_it_lets_everybody_in(tmp_path: Path) -> None:
    async with _opened(tmp_path) as (running, bad, whole):
        await bad.clear()
        bad.behaviour = answering(OK)
        del whole["pools"]["app"]["circuit_breaker"]
        await running.reload(whole)
        assert await _ask(running) == 200
        # Another one begins anew.
        await bad.clear()
        bad.behaviour = answering(BAD)
        whole["pools"]["app"]["circuit_breaker"] = LONG
        await running.reload(whole)
        assert [await _ask(running) for _ in range(6)] == [500] * 5 + [503]


async def test_a_shorter_time_holds_for_one_that_is_open(tmp_path: Path) -> None:
    async with _opened(tmp_path) as (running, bad, whole):
        await bad.clear()
        bad.behaviour = answering(OK)
        whole["pools"]["app"]["circuit_breaker"] = {**LONG, "open": "100ms"}
        await running.reload(whole)
        async with asyncio.timeout(HANG):
            while await _ask(running) != 200:
                pass


@contextlib.asynccontextmanager
async def _opened(directory: Path) -> AsyncIterator[tuple[Running, Backend, dict[str, Any]]]:
    """Fairlead before one backend whose breaker is open for an hour."""
    async with Backend(answering(BAD)) as bad:
        whole = configuration(directory, bad.address, circuit_breaker=LONG)
        write(directory / "fairlead.json", whole)
        async with run(directory / "fairlead.json", directory) as running:
            assert [await _ask(running) for _ in range(6)] == [500] * 5 + [503]
            yield running, bad, whole


async def _ask(running: Running) -> int:
    client = await Peer.connect(await running.address())
    client.send(GET)
    try:
        return (await client.answer()).status
    finally:
        await client.closed()


async def test_an_answer_that_opened_the_breaker_is_the_client_s_when_nobody_is_left(stage: Stage) -> None:
    sorry = b"HTTP/1.1 500 Bad\r\nContent-Length: 5\r\nX-From: bad\r\n\r\nsorry"
    stage.backends["bad"].behaviour = answering(sorry)
    answers = [await stage.ask(GET, "kept") for _ in range(3)]
    assert [len(stage.backends["bad"].requests), await _breaker(stage, "kept")] == [5, "open"]
    assert [(answer.status, answer.body) for answer in answers] == [(500, b"sorry")] * 3
    assert [answer.value("X-From") for answer in answers] == ["bad"] * 3
    assert (await stage.ask(GET, "kept")).status == 503
