"""Clients that are kept at their backend by what they bring: a header, a backend's own cookie, a key."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from fairlead.testing.origin import Exchange, Origin, answer
from support import metrics
from support.browser import Browser
from support.process import configuration, run, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from fairlead.testing.origin import Behaviour
    from support.process import Running

HEADER = {"header": "X-Session"}
TABLE = {"table": {"key": "header:X-Session"}}
LEARN = {"learn": {"response_cookie": "JSESSIONID"}}
VALUES = [f"session-{number}" for number in range(40)]


@contextlib.asynccontextmanager
async def origins(behaviours: Sequence[Behaviour]) -> AsyncIterator[list[Origin]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Origin(behaviour)) for behaviour in behaviours]


def numbered(count: int) -> list[Behaviour]:
    """Each answers with the number it has in the list."""
    return [answer(str(number)) for number in range(count)]


def application(number: int) -> Behaviour:
    """Keeps sessions in its memory, as a servlet container does."""
    sessions: set[str] = set()
    names = itertools.count()

    async def behave(exchange: Exchange) -> None:
        cookie = exchange.request.header("Cookie") or ""
        known = next((name for name in sessions if f"JSESSIONID={name}" in cookie), None)
        fields = {}
        if known is None:
            known = f"{next(names):04x}.{number}"
            sessions.add(known)
            fields["Set-Cookie"] = f"JSESSIONID={known}; Path=/; HttpOnly"
        await exchange.answer(f"{number} {known}".encode(), headers=fields)

    return behave


def settings(
    directory: Path, found: Sequence[Origin], affinity: dict[str, Any], **more: object
) -> dict[str, Any]:
    whole = configuration(directory, *(origin.address for origin in found), affinity=affinity, **more)
    whole["runtime"]["workers"] = 2
    return whole


@contextlib.asynccontextmanager
async def serving(
    directory: Path, found: Sequence[Origin], affinity: dict[str, Any], **more: object
) -> AsyncIterator[Running]:
    write(directory / "fairlead.json", settings(directory, found, affinity, **more))
    async with run(directory / "fairlead.json", directory) as running:
        yield running


async def homes(address: str, values: Sequence[str] = VALUES) -> dict[str, str]:
    return {value: await Browser(fields={"X-Session": value}).text(address) for value in values}


async def test_equal_values_of_a_header_go_to_the_same_backend_on_every_node(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with (
        origins(numbered(4)) as four,
        serving(tmp_path, four, HEADER) as running,
        serving(tmp_path / "other", four[::-1], HEADER) as other,
    ):
        address = await running.address()
        found = await homes(address)
        assert set(found.values()) == {"0", "1", "2", "3"}
        assert await homes(address) == found
        assert await homes(await other.address()) == found
        # Without it they go round.
        assert Counter([await Browser().text(address) for _ in range(16)]).total() == 16
        await running.reload(settings(tmp_path, four[:3], HEADER))
        after = await homes(address)
        assert {value for value in VALUES if after[value] != found[value]} == {
            value for value in VALUES if found[value] == "3"
        }


@pytest.mark.parametrize("on_failure", ["rebalance", "fail"])
async def test_a_value_whose_backend_is_gone(tmp_path: Path, on_failure: str) -> None:
    affinity = {**HEADER, "on_failure": on_failure}
    async with origins(numbered(3)) as three, serving(tmp_path, three, affinity) as running:
        address = await running.address()
        found = await homes(address)
        await three[1].stop()
        lost = [value for value in VALUES if found[value] == "1"]
        kept = [value for value in VALUES if found[value] != "1"]
        assert await homes(address, kept) == {value: found[value] for value in kept}
        for value in lost:
            page = await Browser(fields={"X-Session": value}).ask(address)
            assert (page.status == 200) == (on_failure == "rebalance"), page
        if on_failure == "rebalance":
            again = await homes(address, lost)
            assert again == await homes(address, lost), "all of a value's requests go on together"


async def test_sessions_are_learnt_from_a_backend_s_own_cookie(tmp_path: Path) -> None:
    applications = [application(number) for number in range(3)]
    async with origins(applications) as three, serving(tmp_path, three, LEARN) as running:
        address = await running.address()
        browsers = [Browser() for _ in range(9)]
        first = [await browser.text(address) for browser in browsers]
        assert len({text.split()[0] for text in first}) == 3
        # The cookie is there now, so the application has no more to set.
        for _ in range(3):
            assert [await browser.text(address) for browser in browsers] == first
        # Over a reload that turns the list round.
        await running.reload(settings(tmp_path, three[::-1], LEARN))
        assert [await browser.text(address) for browser in browsers] == first
        # A value that no backend gave is nobody's.
        said = [await Browser({"JSESSIONID": "made up"}).text(address) for _ in range(9)]
        assert len({text.split()[0] for text in said}) == 3


async def test_keys_stay_where_they_went_first_over_reloads(tmp_path: Path) -> None:
    async with origins(numbered(3)) as three, serving(tmp_path, three, TABLE) as running:
        address = await running.address()
        found = await homes(address)
        assert Counter(found.values()).keys() == {"0", "1", "2"}
        assert await homes(address) == found
        async with origins(numbered(2)) as more:
            await running.reload(settings(tmp_path, [*more, *three[::-1]], TABLE))
            assert await homes(address) == found
        await running.reload(settings(tmp_path, three, TABLE))
        assert await homes(address) == found
        (pool,) = (await running.stats())["pools"]
        assert pool["affinity"]["entries"] == len(VALUES)
        assert pool["affinity"]["store_connected"] is None
        _, page = await running.admin("/metrics")
        assert metrics.value(metrics.parse(page), "fairlead_affinity_entries", pool="app") == len(VALUES)


async def test_a_client_is_forgotten_a_while_after_its_last_request(tmp_path: Path) -> None:
    affinity = {"table": {"key": "header:X-Session", "ttl": "2s"}}
    async with origins(numbered(2)) as two, serving(tmp_path, two, affinity) as running:
        address = await running.address()
        used = [value for value in VALUES if value.endswith("1")]
        unused = [value for value in VALUES if value not in used]
        before_used, before_unused = await homes(address, used), await homes(address, unused)
        loop = asyncio.get_running_loop()
        end = loop.time() + 5
        while loop.time() < end:
            assert await homes(address, used) == before_used
        # Forgotten ones are balanced as new ones: by turns, so in another order not as they were.
        assert await homes(address, unused[::2] + unused[1::2]) != before_unused


async def test_clients_by_address_and_full_tables(tmp_path: Path) -> None:
    affinity = {"table": {"key": "client", "max_entries": 1000}}
    async with origins(numbered(3)) as three, serving(tmp_path, three, affinity) as running:
        address = await running.address()
        clients = [Browser(source=f"127.0.1.{number}") for number in range(1, 13)]
        found = [await client.text(address) for client in clients]
        assert len(set(found)) == 3
        assert [await client.text(address) for client in clients] == found


async def test_many_first_requests_of_one_client_agree_on_one_backend(tmp_path: Path) -> None:
    async with origins(numbered(3)) as three, serving(tmp_path, three, TABLE) as running:
        address = await running.address()
        browser = Browser(fields={"X-Session": "eager"})
        await asyncio.gather(*(browser.text(address) for _ in range(12)))
        assert len({await browser.text(address) for _ in range(6)}) == 1


async def test_a_client_moves_once_when_its_backend_is_gone(tmp_path: Path) -> None:
    async with origins(numbered(3)) as three, serving(tmp_path, three, TABLE) as running:
        address = await running.address()
        found = await homes(address)
        await three[0].stop()
        moved = await homes(address)
        assert {value for value in VALUES if moved[value] != found[value]} == {
            value for value in VALUES if found[value] == "0"
        }
        await three[0].__aenter__()
        assert await homes(address) == moved
