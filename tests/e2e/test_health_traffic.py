"""Ten backends under a thousand requests a second, of which one is unwell in one way or another."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.testing.origin import Behaviour, Exchange, Origin, silent
from support import load
from support.origins import origins
from support.process import Running, configuration, run, write

RATE = 1000
WELL = tuple(f"well-{number}" for number in range(1, 10))
FAIR = 0.1
"""The share of one of ten."""


def erring(percent: int) -> Behaviour:
    """Answer so many of a hundred requests, evenly, with 500."""
    numbers = itertools.count(1)

    async def behave(exchange: Exchange) -> None:
        number = next(numbers)
        fails = number * percent // 100 > (number - 1) * percent // 100
        await exchange.answer(b"", 500 if fails else 200, {"X-Backend": "sick"})

    return behave


@contextlib.asynccontextmanager
async def _before(
    folder: Path, behaviour: Behaviour, **pool: object
) -> AsyncIterator[tuple[Running, Origin, dict[str, Any]]]:
    """Fairlead before nine that are well and one that behaves like this, and its configuration."""
    async with origins(*WELL) as well, Origin(behaviour, remember=False) as sick:
        file = folder / "fairlead.json"
        whole = configuration(folder, sick.address, *(one.address for one in well), **pool)
        whole["listeners"]["web"] = {
            "bind": "127.0.0.1:0",
            "routes": [{"pool": "app", "timeouts": {"response": "500ms"}}],
        }
        write(file, whole)
        async with run(file, folder) as fairlead:
            yield fairlead, sick, whole


async def _serve(fairlead: Running, seconds: float) -> dict[str, Any]:
    """So many seconds of traffic; the load's report."""
    return await load.run(
        await fairlead.address(),
        *("--rate", str(RATE), "--requests", str(round(RATE * seconds)), "--connections", "64"),
        *("--count-header", "x-backend", "--failing-status", "600", "--timeout", "5"),
    )


async def _share(fairlead: Running) -> float:
    """The part of a second's requests that the one that is unwell gets."""
    report = await _serve(fairlead, 1)
    assert report["failed"] == 0, report["failures"]
    share: float = report["labels"].get("sick", 0) / report["requests"]
    return share


async def _sick(fairlead: Running, sick: Origin) -> dict[str, Any]:
    (pool,) = (await fairlead.stats())["pools"]
    (found,) = (one for one in pool["backends"] if one["id"] == sick.address)
    backend: dict[str, Any] = found
    return backend


@pytest.mark.timeout(120)
async def test_fifteen_percent_errors_leave_a_third_of_the_share_until_it_heals(
    tmp_path: Path,
) -> None:
    async with _before(tmp_path, erring(0)) as (fairlead, sick, _):
        assert abs(await _share(fairlead) - FAIR) < FAIR / 10
        sick.behaviour = erring(15)
        await _serve(fairlead, 9)
        shares = [await _share(fairlead) for _ in range(4)]
        assert all(FAIR / 20 <= share <= 0.035 for share in shares), shares
        found = await _sick(fairlead, sick)
        assert (found["state"], found["reason"]) == ("degraded", "more errors than the others")
        sick.behaviour = erring(0)
        async with asyncio.timeout(60):
            while (share := await _share(fairlead)) <= FAIR * 0.9:
                pass
        assert share <= FAIR * 1.1


async def test_one_that_refuses_gets_nothing_after_its_first_failures_and_no_client_sees_one(
    tmp_path: Path,
) -> None:
    async with _before(tmp_path, erring(0), passive_health={"cooldown": "1m"}) as (fairlead, sick, _):
        await _serve(fairlead, 1)
        traffic = asyncio.create_task(_serve(fairlead, 5))
        await _requests_more(fairlead, RATE)
        await sick.stop()
        await _requests_more(fairlead, RATE)
        out = await _sick(fairlead, sick)
        report = await traffic
        after = await _sick(fairlead, sick)
    assert (out["state"], out["reason"]) == ("ejected", "connections refused")
    assert after["connect_failures"] == out["connect_failures"] <= 10
    assert report["failed"] == 0, report["failures"]
    assert report["statuses"] == {"200": 5 * RATE}


async def test_one_that_hangs_costs_its_timeout_and_then_nothing(tmp_path: Path) -> None:
    async with _before(tmp_path, silent(), passive_health={"cooldown": "1m"}) as (fairlead, sick, _):
        report = await _serve(fairlead, 4)
        found = await _sick(fairlead, sick)
        assert (found["state"], found["reason"]) == ("ejected", "timeouts in a row")
        later = await _serve(fairlead, 2)
    # A hundred a second for as long as the first of them has to wait, and those that were under way.
    assert report["statuses"]["504"] == found["timeouts"] <= 90
    assert report["failed"] == 0, report["failures"]
    # The timeout, and what a busy machine adds; without a bound it would be the load's own 5 s.
    assert report["latency_ms"]["max"] < 2500
    assert later["statuses"] == {"200": 2 * RATE}
    assert later["latency_ms"]["p99"] < 500


async def test_the_last_usable_one_is_kept_whatever_it_does(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        failing = [await stack.enter_async_context(Origin(erring(100), remember=False)) for _ in range(3)]
        file = tmp_path / "fairlead.json"
        write(file, configuration(tmp_path, *(one.address for one in failing)))
        async with run(file, tmp_path) as fairlead:
            report = await _serve(fairlead, 3)
            for one in failing:
                await one.stop()
            refused = await _serve(fairlead, 1)
            (pool,) = (await fairlead.stats())["pools"]
    # An answer of a backend, not one of ours that says there is none.
    assert report["statuses"] == {"500": 3 * RATE}
    assert [one["share"] > 0 for one in pool["backends"]].count(True) == 1
    assert set(refused["statuses"]) <= {"502", "503"}
    assert refused["failed"] == 0


async def _requests_more(fairlead: Running, count: int) -> None:
    before = (await fairlead.stats())["totals"]["requests"]
    while (await fairlead.stats())["totals"]["requests"] < before + count:
        pass
