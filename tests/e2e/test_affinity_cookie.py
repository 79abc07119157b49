"""Clients that are kept at their backend by a cookie of Fairlead's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from fairlead.testing.origin import Exchange, Origin, answer
from support.browser import Browser
from support.process import configuration, engines, run, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.process import Running

SECRET = "correct horse battery staple"  # noqa: S105  (of a test)
COOKIE: dict[str, Any] = {"cookie": {}}


@contextlib.asynccontextmanager
async def origins(count: int) -> AsyncIterator[list[Origin]]:
    """Origins that each answer with the number it has in the list."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Origin(answer(str(number)))) for number in range(count)]


def settings(
    directory: Path, backends: list[Any], affinity: dict[str, Any], **more: object
) -> dict[str, Any]:
    whole = configuration(directory, *backends, affinity=affinity, **more)
    whole["runtime"]["workers"] = 2
    return whole


def prepared(directory: Path, whole: dict[str, Any]) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / "fairlead.json"
    write(file, whole)
    return file


@contextlib.asynccontextmanager
async def serving(
    directory: Path, backends: list[Any], affinity: dict[str, Any], **more: object
) -> AsyncIterator[Running]:
    file = prepared(directory, settings(directory, backends, affinity, **more))
    async with run(file, directory) as running:
        yield running


def addresses(found: list[Origin]) -> list[str]:
    return [origin.address for origin in found]


async def test_clients_stay_and_the_rotation_is_as_if_they_were_not_there(tmp_path: Path) -> None:
    async with origins(3) as three, serving(tmp_path, addresses(three), COOKIE) as running:
        address = await running.address()
        browsers = [Browser() for _ in range(12)]
        homes = [await browser.text(address) for browser in browsers]
        assert set(Counter(homes).values()) <= {3, 4, 5}
        # Known clients take no turn of anybody's: new ones still go round.
        for browser, home in zip(browsers, homes, strict=True):
            assert [await browser.text(address) for _ in range(4)] == [home] * 4
        fresh = Counter([await Browser().text(address) for _ in range(12)])
        assert set(fresh.values()) <= {3, 4, 5}


async def test_the_cookie_says_nothing_and_is_set_once(tmp_path: Path) -> None:
    async with origins(2) as two, serving(tmp_path, addresses(two), COOKIE) as running:
        address = await running.address()
        browser = Browser()
        page = await browser.ask(address)
        (field,) = page.values("Set-Cookie")
        assert re.fullmatch(r"SERVERID=[A-Za-z0-9_-]{22}; Path=/; HttpOnly; SameSite=Lax", field)
        assert page.values("Cache-Control") == ["private"]
        again = await browser.ask(address)
        assert again.values("Set-Cookie") == again.values("Cache-Control") == []


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_nobody_comes_to_belong_to_a_backend_that_can_t_serve(tmp_path: Path, status: int) -> None:
    async with origins(2) as two, serving(tmp_path, addresses(two), COOKIE) as running:
        address = await running.address()
        known = Browser()
        home = await known.text(address)
        cookies = dict(known.cookies)
        two[int(home)].behaviour = answer(home, status)
        pages = [await Browser().ask(address) for _ in range(4)]
        assert {(page.status, len(page.values("Set-Cookie"))) for page in pages} == {(status, 0), (200, 1)}
        assert (await known.ask(address)).status == status
        assert known.cookies == cookies, "who belongs there stays"


async def test_one_with_a_time_is_renewed_by_each_answer(tmp_path: Path) -> None:
    cookie = {
        "name": "stay", "ttl": "1h", "secure": True, "same_site": "none",
        "path": "/shop", "domain": "example.com", "secret": SECRET,
    }  # fmt: skip
    async with origins(1) as one, serving(tmp_path, addresses(one), {"cookie": cookie}) as running:
        browser = Browser()
        for _ in range(2):
            (field,) = (await browser.ask(await running.address())).values("Set-Cookie")
            assert field.startswith("stay=")
            assert field.endswith(
                "; Path=/shop; HttpOnly; SameSite=None; Max-Age=3600; Domain=example.com; Secure"
            )


async def test_it_is_secure_where_a_trusted_proxy_says_https(tmp_path: Path) -> None:
    async with origins(1) as one:
        whole = settings(tmp_path, addresses(one), COOKIE)
        whole["listeners"]["trusting"] = {"bind": "127.0.0.2:0", "pool": "app", "trusted": ["127.0.0.1"]}
        write(tmp_path / "fairlead.json", whole)
        async with run(tmp_path / "fairlead.json", tmp_path) as running:
            for listener, scheme, secure in [
                ("web", "https", False),
                ("trusting", "https", True),
                ("trusting", "http", False),
            ]:
                browser = Browser(fields={"X-Forwarded-Proto": scheme})
                (field,) = (await browser.ask(await running.address(listener))).values("Set-Cookie")
                assert field.endswith("; Secure") == secure, (listener, scheme)


async def test_backends_get_every_cookie_but_ours(tmp_path: Path) -> None:
    async with origins(1) as (one,), serving(tmp_path, [one.address], COOKIE) as running:
        address = await running.address()
        browser = Browser()
        await browser.text(address)
        mine = browser.cookies["SERVERID"]
        for sent, left in [
            (f"SERVERID={mine}", None),
            (f'a=1;  b="x y"; SERVERID={mine}; c==', 'a=1;  b="x y"; c=='),
            (f"SERVERID={mine};SERVERIDS=2", "SERVERIDS=2"),
        ]:
            await Browser(fields={"Cookie": sent}).text(address)
            assert one.requests[-1].header("Cookie") == left


async def test_forged_and_foreign_cookies_are_ignored(tmp_path: Path) -> None:
    async with origins(2) as two, serving(tmp_path, addresses(two), COOKIE) as running:
        address = await running.address()
        for value in [two[0].address, "A" * 22, "", "é" * 11, "x" * 5000]:
            said = set()
            for _ in range(8):
                browser = Browser(fields={"Cookie": f"SERVERID={value}"})
                page = await browser.ask(address)
                said.add(page.text)
                assert "SERVERID" in browser.cookies, "it gets a good one"
            assert said == {"0", "1"}, value


async def test_clients_stay_over_reloads_and_the_death_of_each_process(tmp_path: Path) -> None:
    async with origins(3) as three:
        backends = addresses(three)
        browsers = [Browser() for _ in range(6)]
        async with serving(tmp_path, backends, COOKIE) as running:
            address = await running.address()
            homes = [await browser.text(address) for browser in browsers]
            key = (tmp_path / "affinity.key").stat()
            assert key.st_mode & 0o777 == 0o600
            # In another order, and with one more.
            async with origins(1) as more:
                await running.reload(settings(tmp_path, [*addresses(more), *reversed(backends)], COOKIE))
                assert [await browser.text(address) for browser in browsers] == homes
            await running.reload(settings(tmp_path, backends, COOKIE))
            (engine,) = engines(tmp_path)
            os.kill(engine, signal.SIGKILL)
            while engine in engines(tmp_path):
                pass
            assert [await browser.settled(address) for browser in browsers] == homes
            assert await running.stop() == 0
        async with serving(tmp_path, backends, COOKIE) as running:
            address = await running.address()
            assert [await browser.text(address) for browser in browsers] == homes


async def test_nodes_with_the_same_secret_know_each_other_s_clients(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    affinity = {"cookie": {"secret_file": str(tmp_path / "secret")}}
    async with (
        origins(4) as four,
        serving(tmp_path / "one", addresses(four), affinity) as one,
        serving(tmp_path / "other", list(reversed(addresses(four))), affinity) as other,
        serving(tmp_path / "stranger", addresses(four), COOKIE) as stranger,
    ):
        assert not (tmp_path / "one" / "affinity.key").exists()
        browsers = [Browser() for _ in range(8)]
        homes = [await browser.text(await one.address()) for browser in browsers]
        assert [await browser.text(await other.address()) for browser in browsers] == homes
        pages = [await browser.ask(await stranger.address()) for browser in browsers]
        assert all(page.values("Set-Cookie") for page in pages), "another secret knows none of them"


async def test_one_that_left_keeps_its_clients_until_its_drain_is_over(tmp_path: Path) -> None:
    async with origins(2) as (stays, leaves):
        both, one = [stays.address, leaves.address], [stays.address]
        async with serving(tmp_path, both, COOKIE, drain="2s") as running:
            address = await running.address()
            known = Browser()
            while await known.text(address) != "1":
                known = Browser()
            await running.reload(settings(tmp_path, one, COOKIE, drain="2s"))
            assert await known.text(address) == "1"
            assert [await Browser().text(address) for _ in range(4)] == ["0"] * 4
            while await known.text(address) == "1":
                pass
            assert await known.text(address) == "0"
            while len((await running.stats())["pools"][0]["backends"]) > 1:
                pass


async def operate(running: Running, verb: str, backend: str) -> None:
    command = (sys.executable, "-m", "fairlead", verb, f"app/{backend}", "--admin", str(running.directory))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def test_a_drained_backend_keeps_its_clients_until_the_deadline(tmp_path: Path) -> None:
    async with origins(2) as two:
        backends = [{"address": origin.address, "name": f"b{n}"} for n, origin in enumerate(two)]
        async with serving(tmp_path, backends, COOKIE, drain="4s") as running:
            address = await running.address()
            known = Browser()
            while await known.text(address) != "1":
                known = Browser()
            cookie = dict(known.cookies)
            await operate(running, "drain", "b1")
            assert await known.text(address) == "1"
            assert [await Browser().text(address) for _ in range(4)] == ["0"] * 4
            assert await known.text(address) == "1"
            # At the deadline it is sent away, and told where it belongs now.
            while await known.text(address) == "1":
                pass
            assert known.cookies != cookie
            await operate(running, "undrain", "b1")
            assert await known.text(address) == "0"
            assert await Browser(cookie).text(address) == "1"


@pytest.mark.parametrize("on_failure", ["rebalance", "fail"])
async def test_a_backend_that_is_gone(tmp_path: Path, on_failure: str) -> None:
    affinity = {"cookie": {}, "on_failure": on_failure}
    async with origins(2) as two, serving(tmp_path, addresses(two), affinity, drain="0s") as running:
        address = await running.address()
        browser = Browser()
        home = int(await browser.text(address))
        before = dict(browser.cookies)
        await two[home].stop()
        if on_failure == "rebalance":
            assert int(await browser.text(address)) == 1 - home
            assert browser.cookies != before, "it belongs there now"
            await two[home].__aenter__()
            assert int(await browser.text(address)) == 1 - home
        else:
            page = await browser.ask(address)
            assert page.status == 502, "it was asked, and nobody else was"
            while (page := await browser.ask(address)).status != 503:
                pass
            (said,) = page.values("Proxy-Status")
            assert "this client belongs to" in said
            assert browser.cookies == before
            # New ones are not concerned, and it is back when its backend is.
            assert int(await Browser().text(address)) == 1 - home


@pytest.mark.parametrize(("on_failure", "status"), [("rebalance", 200), ("fail", 503)])
async def test_a_backend_that_is_full(tmp_path: Path, on_failure: str, status: int) -> None:
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def held(exchange: Exchange) -> None:
        if exchange.request.target == "/held":
            arrived.set()
            await gate.wait()
        await exchange.answer(b"held")

    affinity = {"cookie": {}, "on_failure": on_failure}
    async with Origin(held) as one, Origin(answer("other")) as other:
        backends = [one.address, other.address]
        async with serving(tmp_path, backends, affinity, max_in_flight=1) as running:
            address = await running.address()
            browser = Browser()
            while await browser.text(address) != "held":
                browser = Browser()
            twin = Browser(dict(browser.cookies))
            open_request = asyncio.ensure_future(browser.text(address, "/held"))
            await arrived.wait()
            page = await twin.ask(address)
            assert page.status == status
            gate.set()
            assert await open_request == "held"


async def test_known_clients_wait_for_their_backend_where_there_is_a_queue(tmp_path: Path) -> None:
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def held(exchange: Exchange) -> None:
        if exchange.request.target == "/held":
            arrived.set()
            await gate.wait()
        await exchange.answer(b"held")

    more = {"max_in_flight": 1, "queue": {"size": 10, "timeout": "20s"}}
    async with (
        Origin(held) as one,
        Origin(answer("other")) as other,
        serving(tmp_path, [one.address, other.address], COOKIE, **more) as running,
    ):
        address = await running.address()
        browser = Browser()
        while await browser.text(address) != "held":
            browser = Browser()
        twins = [Browser(dict(browser.cookies)) for _ in range(5)]
        open_request = asyncio.ensure_future(browser.text(address, "/held"))
        await arrived.wait()
        waiting = [asyncio.ensure_future(twin.text(address)) for twin in twins]
        assert await Browser().text(address) == "other"
        gate.set()
        assert await open_request == "held"
        assert await asyncio.gather(*waiting) == ["held"] * 5


async def test_weight_0_is_for_known_clients_only(tmp_path: Path) -> None:
    async with origins(2) as two, serving(tmp_path, addresses(two), COOKIE) as running:
        address = await running.address()
        known = Browser()
        while await known.text(address) != "1":
            known = Browser()
        weighed = [two[0].address, {"address": two[1].address, "weight": 0}]
        await running.reload(settings(tmp_path, weighed, COOKIE))
        assert [await known.text(address) for _ in range(3)] == ["1"] * 3
        assert [await Browser().text(address) for _ in range(4)] == ["0"] * 4


async def test_an_upgraded_connection_carries_it(tmp_path: Path) -> None:
    async def greet(number: int) -> websockets.Server:
        async def behave(connection: websockets.ServerConnection) -> None:
            await connection.send(str(number))
            await connection.wait_closed()

        return await websockets.serve(behave, "127.0.0.1", 0)

    servers = [await greet(number) for number in range(3)]
    backends = [f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]
    try:
        async with serving(tmp_path, backends, COOKIE) as running:
            address = await running.address()
            async with websockets.connect(f"ws://{address}/") as first:
                home = await first.recv()
                assert first.response is not None
                cookie = first.response.headers["Set-Cookie"].partition(";")[0]
            for _ in range(4):
                async with websockets.connect(
                    f"ws://{address}/", additional_headers={"Cookie": cookie}
                ) as again:
                    assert await again.recv() == home
                    assert again.response is not None
                    assert "Set-Cookie" not in again.response.headers
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()
