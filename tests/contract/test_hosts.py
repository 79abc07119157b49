"""What control may expect of an engine: the same bodies on one in a process and on one inside this one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientError, ClientSession

from fairlead.compile import spec
from fairlead.control.errors import EngineLost, PlanRefused
from fairlead.control.host import VERSION, Host, LocalHost, ProcessHost
from fairlead.control.messages import (
    REOPEN_LOGS,
    Changes,
    CheckResult,
    MemberList,
    Said,
    Setting,
    Settings,
    Wanted,
    stop_command,
)
from fairlead.model import Configuration
from fairlead.model.stats import Connected, EngineStats
from fairlead.testing.origin import Origin, answer, raw, silent

HOSTS: dict[str, Callable[[Settings], Host]] = {"process": ProcessHost, "local": LocalHost}


@pytest.fixture(params=HOSTS)
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    host = HOSTS[request.param](Settings(directory=str(tmp_path / "run"), workers=2))
    (tmp_path / "run").mkdir()
    await host.start()
    yield host
    host.kill()
    async with asyncio.timeout(10):
        await host.closed
    await host.release()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin(answer("hello")) as origin:
        yield origin


def described(version: int, *backends: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a configuration
    configuration = {
        "listeners": {"web": {"bind": "127.0.0.1:0", "pool": "app"}},
        "pools": {"app": {"backends": list(backends)}},
    }
    return spec(Configuration.model_validate(configuration | more), version=version)


async def ask(address: str) -> str:
    async with ClientSession() as client, client.get(f"http://{address}/") as got:
        return f"{got.status} {await got.text()}"


async def counted(host: Host, seen: Callable[[EngineStats], int]) -> EngineStats:
    """What the host counts once it has seen one: a request is counted a moment after its answer was sent."""
    while seen(stats := await host.stats(routes=True)) != 1:
        pass
    return stats


def member(origin: Origin) -> dict[str, Any]:
    return {
        "id": f"name@{origin.address}",
        "hash_name": origin.address,
        "host": None,
        "address": {"ip": origin.address},
        "weight": 1,
        "max_in_flight": None,
        "zone": None,
        "backup": False,
    }


async def test_a_plan_is_served_at_the_address_it_names(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, origin.address))
    assert applied.version == 1
    assert await ask(applied.bound["web"]["127.0.0.1:0"]) == "200 hello"


async def test_an_answer_that_was_cut_is_counted_as_incomplete(host: Host) -> None:
    async with Origin(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")) as cut:
        applied = await host.apply(described(1, cut.address))
        with pytest.raises(ClientError):
            await ask(applied.bound["web"]["127.0.0.1:0"])
    await counted(host, lambda stats: stats.listeners[0].incomplete)


async def test_stats_count_what_was_served(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, origin.address))
    before = await host.stats()
    assert (before.plan_version, before.ready, before.totals.requests) == (1, True, 0)
    await ask(applied.bound["web"]["127.0.0.1:0"])
    stats = await counted(host, lambda stats: stats.totals.requests)
    assert [(pool.name, [one.requests for one in pool.backends]) for pool in stats.pools] == [("app", [1])]
    assert [route.requests for route in stats.routes] == [1]


async def test_what_a_program_says_of_a_backend_is_judged_like_any_check(host: Host, origin: Origin) -> None:
    check = {"type": "exec", "command": ["check"], "unhealthy_threshold": 2}
    pools = {"app": {"backends": [origin.address], "health_check": check}}
    await host.apply(described(1, pools=pools))

    async def told(*, good: bool) -> tuple[bool, str]:
        more = await host.checked(CheckResult("app", origin.address, good, "lag", 0.25))
        ((backend,),) = [pool.backends for pool in (await host.stats()).pools]
        assert backend.checks is not None
        assert backend.checks.last is not None
        assert (backend.checks.last.reason, backend.checks.last.duration_ms) == ("lag", 250.0)
        return more, backend.state

    ((backend,),) = [pool.backends for pool in (await host.stats()).pools]
    assert backend.state == "unproven"
    assert await told(good=True) == (False, "up")
    assert await told(good=False) == (True, "up")
    assert await told(good=False) == (False, "down")
    assert not await host.checked(CheckResult("app", "nobody", True, "", 0.0))  # noqa: FBT003
    assert not await host.checked(CheckResult("lost", "nobody", True, "", 0.0))  # noqa: FBT003


async def test_a_next_plan_keeps_the_socket_and_changes_the_backends(host: Host, origin: Origin) -> None:
    first = await host.apply(described(1, origin.address))
    async with Origin(answer("other")) as other:
        second = await host.apply(described(2, other.address))
        assert second.bound == first.bound
        assert await ask(first.bound["web"]["127.0.0.1:0"]) == "200 other"
    assert (await host.stats()).plan_version == 2


async def test_a_refused_plan_says_where_and_changes_nothing(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, origin.address))
    taken = described(2, origin.address, listeners={"other": {"bind": origin.address, "pool": "app"}})
    with pytest.raises(PlanRefused) as refused:
        await host.apply(taken)
    assert [problem.path[:2] for problem in refused.value.problems] == [("listeners", "other")]
    assert await ask(applied.bound["web"]["127.0.0.1:0"]) == "200 hello"
    assert (await host.stats()).plan_version == 1


async def test_members_come_without_a_plan_and_an_older_list_is_ignored(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, "name.invalid:80"))
    address = applied.bound["web"]["127.0.0.1:0"]
    assert (await ask(address)).startswith("503 ")
    await host.members(MemberList("app", (member(origin),)), 2)
    assert await ask(address) == "200 hello"
    await host.members(MemberList("app", ()), 1)
    assert await ask(address) == "200 hello"
    assert (await host.stats()).generations() == {"app": 2}


async def test_members_outlive_a_plan_that_still_wants_them(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, "name.invalid:80"))
    await host.members(MemberList("app", (member(origin),)), 1)
    await host.apply(described(2, "name.invalid:80"))
    assert await ask(applied.bound["web"]["127.0.0.1:0"]) == "200 hello"


async def test_members_of_an_unknown_pool_are_ignored(host: Host, origin: Origin) -> None:
    await host.apply(described(1, origin.address))
    await host.members(MemberList("none", (member(origin),)), 1)
    assert (await host.stats()).ready


async def test_a_drained_backend_gets_nothing_until_that_is_taken_back(host: Host, origin: Origin) -> None:
    async with Origin(answer("other")) as other:
        applied = await host.apply(described(1, origin.address, other.address))
        address = applied.bound["web"]["127.0.0.1:0"]
        await host.set(Setting("app", other.address, "drain"))
        assert [await ask(address) for _ in range(4)] == ["200 hello"] * 4
        await host.apply(described(2, origin.address, other.address))
        stats = (await host.stats()).pools[0].backends[1]
        assert (stats.state, stats.operator and stats.operator.mode) == ("draining", "drain")
        await host.set(Setting("app", other.address, "none", 0))
        stats = (await host.stats()).pools[0].backends[1]
        assert (stats.state, stats.weight) == ("up", 0)
        await host.set(Setting("app", other.address))
        assert sorted([await ask(address) for _ in range(2)]) == ["200 hello", "200 other"]
        assert (await host.stats()).pools[0].backends[1].operator is None


async def test_a_setting_of_an_unknown_backend_is_counted_and_a_weight_too_high_refused(
    host: Host, origin: Origin
) -> None:
    await host.apply(described(1, origin.address))
    await host.set(Setting("app", "none", "disable"))
    assert (await host.stats()).totals.settings_ignored == 1
    with pytest.raises(PlanRefused):
        await host.set(Setting("app", origin.address, weight=65_536))


async def test_open_connections_are_listed_by_listener_and_client(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, origin.address))
    async with ClientSession() as client:
        async with client.get(f"http://{applied.bound['web']['127.0.0.1:0']}/") as got:
            await got.read()
        found = await host.connections(Wanted(limit=10, listener="web", client="127.0.0.1"))
        assert (found.open, [(one.listener, one.requests) for one in found.connections]) == (1, [("web", 1)])
        for nobody in (Wanted(limit=0), Wanted(limit=9, listener="x"), Wanted(limit=9, client="::1")):
            assert await host.connections(nobody) == Connected(open=1)


async def test_what_checks_said_before_stands_until_their_first_result(host: Host, origin: Origin) -> None:
    async with Origin(silent()) as mute:
        checked = {"backends": [origin.address, mute.address], "health_check": {"timeout": "1m"}}
        origin.behaviour = mute.behaviour
        await host.restore({"app": {mute.address: False}, "gone": {"a": True}})
        await host.apply(described(1, pools={"app": checked}))
        stats = await host.stats()
        assert [one.state for one in stats.pools[0].backends] == ["unproven", "down"]
        assert stats.verdicts() == {"app": {mute.address: False}}
        assert not stats.ready


async def test_stats_come_unasked(host: Host, origin: Origin) -> None:
    await host.apply(described(1, origin.address))
    async with asyncio.timeout(10):
        async for update in host.updates():
            if isinstance(update, EngineStats) and update.plan_version == 1:
                break


async def test_logs_are_opened_again(host: Host, origin: Origin, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    applied = await host.apply(described(1, origin.address, access_log={"path": str(log)}))
    log.rename(tmp_path / "access.log.1")
    await host.command(REOPEN_LOGS)
    await ask(applied.bound["web"]["127.0.0.1:0"])
    await host.command(stop_command(5.0))
    async with asyncio.timeout(10):
        await host.closed
    assert log.read_text().count("\n") == 1
    assert (tmp_path / "access.log.1").read_text() == ""


async def test_a_stop_ends_it_and_later_calls_fail(host: Host, origin: Origin) -> None:
    applied = await host.apply(described(1, origin.address))
    await host.command(stop_command(5.0))
    async with asyncio.timeout(10):
        assert await host.closed == 0
    with pytest.raises(EngineLost):
        await host.stats()
    with pytest.raises(ClientConnectionError):
        await ask(applied.bound["web"]["127.0.0.1:0"])


async def test_a_process_that_was_let_go_is_adopted_with_what_it_serves(
    tmp_path: Path, origin: Origin
) -> None:
    settings = Settings(directory=str(tmp_path), workers=1)
    first = ProcessHost(settings)
    started = await first.start()
    applied = await first.apply(described(7, origin.address))
    second = ProcessHost(settings)
    hello = await second.start()
    assert second.adopted
    assert (hello.pid, hello.version, hello.plan_version) == (started.pid, VERSION, 7)
    assert hello.bound == applied.bound
    assert (await second.apply(described(8, origin.address))).bound == applied.bound
    second.kill()
    async with asyncio.timeout(10):
        await asyncio.gather(first.closed, second.closed)
    await first.release()
    await second.release()


async def test_what_other_nodes_are_to_know_comes_up_and_what_they_say_is_taken(host: Host) -> None:
    affinity = {"table": {"key": "path", "store": "redis"}}
    async with Origin(answer("one")) as one, Origin(answer("other")) as other:
        pool = {"backends": [one.address, other.address], "affinity": affinity}
        applied = await host.apply(described(1, pools={"app": pool}, cluster={"redis": "redis://nobody"}))
        address = applied.bound["web"]["127.0.0.1:0"]
        said = (await ask(address)).removeprefix("200 ")
        async with asyncio.timeout(10):
            async for update in host.updates():
                if isinstance(update, Changes):
                    break
        (change,) = update.changes
        home, away = (one, other) if said == "one" else (other, one)
        assert (change.pool, change.before, change.now) == ("app", None, home.address)
        await host.affinity(Said(pools={"app": [(change.client, away.address)], "gone": [("01", "x")]}))
        assert await ask(address) != f"200 {said}"
        for connected in (False, True):
            await host.affinity(Said(connected=connected, reason="a test"))
            shown = (await host.stats()).pools[0].affinity
            assert shown is not None
            assert shown.store_connected is connected
