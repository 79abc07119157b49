"""The loop from state to engine, on an engine that lives in the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from fairlead.control.act import Actor
from fairlead.control.errors import EngineLost, PlanRefused
from fairlead.control.messages import (
    Applied,
    CheckResult,
    Command,
    Event,
    Hello,
    MemberList,
    Setting,
    Spec,
    Update,
    Verdicts,
)
from fairlead.control.store import Absent, Proposal, Running, Store
from fairlead.errors import Problem
from fairlead.model.stats import BackendStats, EngineStats, OperatorStats, PoolStats


class FakeHost:
    """An engine as far as control can tell. Its script is its attributes."""

    def __init__(self, *, serving: int | None = None) -> None:
        self.closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.adopted = serving is not None
        self.serving = serving
        self.calls: list[tuple[str, Any]] = []
        self.refuse_versions: set[int] = set()
        self.die_at_apply = False
        self.fails_to_start = False
        self.checks: dict[str, bool] = {}
        self.released = False
        self.pools: tuple[PoolStats, ...] = ()

    async def start(self) -> Hello:
        if self.fails_to_start:
            raise EngineLost
        return Hello(version="1", pid=1, workers=1, plan_version=self.serving, bound={}, settings={})

    async def apply(self, spec: Spec) -> Applied:
        self.calls.append(("apply", spec["version"]))
        if self.die_at_apply:
            self.die(-9)
            raise EngineLost
        if spec["version"] in self.refuse_versions:
            raise PlanRefused([Problem(("pools", "app"), "no")])
        self.serving = spec["version"]
        return Applied(spec["version"], {"web": {":0": "[::]:4001"}})

    async def members(self, members: MemberList, generation: int) -> None:
        self.calls.append(("members", (members.pool, generation)))

    async def restore(self, verdicts: Verdicts) -> None:
        self.calls.append(("restore", verdicts))

    async def checked(self, result: CheckResult) -> bool:
        self.calls.append(("checked", result.reason))
        return not result.good

    async def set(self, setting: Setting) -> None:
        self.calls.append(("set", setting))

    async def command(self, command: Command) -> None:
        self.calls.append(("command", command))
        if "stop" in command:
            self.die(0)

    async def stats(self, *, routes: bool = False) -> EngineStats:
        del routes
        said = {True: "up", False: "down"}
        backends = [{"id": name, "address": "", "check": said[is_up]} for name, is_up in self.checks.items()]
        checked = {"name": "app", "backends": backends}
        pools = self.pools or ([checked] if self.serving else [])
        return EngineStats.model_validate(
            {"plan_version": self.serving, "ready": True, "pools": pools}, from_attributes=True
        )

    async def updates(self) -> AsyncIterator[Update]:
        yield Event("listener_drained", 0, {"listener": "web"})
        await asyncio.shield(self.closed)

    def kill(self) -> None:
        self.die(-9)

    async def release(self) -> None:
        self.released = True

    def die(self, code: int) -> None:
        if not self.closed.done():
            self.closed.set_result(code)


def spec(version: int, *, resolved: bool = False) -> dict[str, Any]:
    address = {"any": {"port": 0}}
    return {
        "version": version,
        "listeners": [{"name": "web", "binds": [{"text": ":0", "address": address, "port_hint": None}]}],
        "pools": [{"name": "app", "resolved": resolved}],
    }


def proposal(version: int, *, resolved: bool = False) -> Proposal:
    return Proposal(number=version, version=version, spec=spec(version, resolved=resolved), source="f")


class Control:
    """A store and an actor over a row of hosts."""

    def __init__(self, *hosts: FakeHost) -> None:
        self.store = Store()
        self.left = list(hosts)
        self.actor = Actor(self.store, lambda: self.left.pop(0))

    async def serves(self, version: int) -> None:
        await self.store.until(
            lambda state: isinstance(state.engine, Running) and state.engine.serving == version
        )


@asynccontextmanager
async def acting(control: Control) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(control.actor.run())
        yield
        control.store.update(stop=1.0)


async def test_a_proposal_is_applied_and_kept_with_its_ports() -> None:
    host = FakeHost()
    control = Control(host)
    async with acting(control):
        control.store.update(proposal=proposal(1))
        state = await control.store.until(lambda state: state.ready)
        assert state.accepted is not None
        assert state.accepted.spec["listeners"][0]["binds"][0]["port_hint"] == 4001
        assert state.proposal is None
    assert host.calls == [("apply", 1), ("command", {"stop": {"deadline_ms": 1000}})]
    assert control.store.state.engine == Absent(code=0)


async def test_a_refused_proposal_leaves_the_one_before() -> None:
    host = FakeHost()
    host.refuse_versions = {2}
    control = Control(host)
    async with acting(control):
        control.store.update(proposal=proposal(1))
        await control.serves(1)
        control.store.update(proposal=proposal(2))
        state = await control.store.until(lambda state: state.outcome(2))
        assert state.refusal is not None
        assert str(state.refusal.error) == "pools.app: no"
        assert state.accepted is not None
        assert state.accepted.version == 1


async def test_a_new_engine_serves_the_same_ports_and_members() -> None:
    first, second = FakeHost(), FakeHost()
    control = Control(first, second)
    async with acting(control):
        control.store.update(
            proposal=replace(proposal(1, resolved=True), members={"app": MemberList("app", ({"id": "a"},))})
        )
        await control.store.until(lambda state: isinstance(state.engine, Running) and bool(state.engine.sent))
        first.die(-11)
        await control.store.until(lambda state: state.restarts == 1)
        await control.store.until(lambda state: isinstance(state.engine, Running) and bool(state.engine.sent))
    assert first.released
    assert second.calls[:2] == [("apply", 1), ("members", ("app", 1))]


async def test_a_new_engine_is_told_what_checks_said_before_it_serves() -> None:
    first, second, third = FakeHost(), FakeHost(), FakeHost()
    first.checks = {"a": True, "b": False}
    second.die_at_apply = True
    control = Control(first, second, third)
    async with acting(control):
        control.store.update(proposal=proposal(1))
        await control.serves(1)
        first.die(-11)
        await control.store.until(lambda state: state.restarts == 2)
        await control.serves(1)
    for host in (second, third):
        assert host.calls[:2] == [("restore", {"app": {"a": True, "b": False}}), ("apply", 1)]


async def test_a_death_while_a_reload_is_applied_loses_neither_version() -> None:
    first, second = FakeHost(), FakeHost()
    control = Control(first, second)
    async with acting(control):
        control.store.update(proposal=proposal(1))
        await control.serves(1)
        first.die_at_apply = True
        control.store.update(proposal=proposal(2))
        await control.serves(2)
    assert second.calls[:2] == [("apply", 1), ("apply", 2)]


async def test_a_death_before_the_first_plan_ends_the_run() -> None:
    host = FakeHost()
    host.die_at_apply = True
    control = Control(host)
    control.store.update(proposal=proposal(1))
    with pytest.raises(ExceptionGroup) as failed:
        await control.actor.run()
    assert failed.group_contains(EngineLost)
    assert isinstance(control.store.state.failure, EngineLost)


async def test_an_adopted_engine_gets_the_file_as_a_reload() -> None:
    host = FakeHost(serving=6)
    control = Control(host)
    async with acting(control):
        control.store.update(proposal=proposal(7))
        await control.serves(7)
    assert host.calls[0] == ("apply", 7)


async def test_an_adopted_engine_that_refuses_the_file_is_let_go_and_lives() -> None:
    host = FakeHost(serving=6)
    host.refuse_versions = {7}
    control = Control(host)
    control.store.update(proposal=proposal(7))
    acting = asyncio.create_task(control.actor.run())
    await control.store.until(lambda state: state.outcome(7))
    acting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acting
    await control.actor.release(stop_unproven=True)
    assert host.released
    assert not host.closed.done()
    host.die(0)


async def test_an_engine_of_ours_that_never_served_is_not_left_behind() -> None:
    host = FakeHost()
    host.refuse_versions = {1}
    control = Control(host)
    control.store.update(proposal=proposal(1))
    acting = asyncio.create_task(control.actor.run())
    await control.store.until(lambda state: state.outcome(1))
    acting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acting
    await control.actor.release(stop_unproven=True)
    assert host.closed.result() == -9


async def test_a_stop_ends_the_pause_before_a_restart() -> None:
    first, second = FakeHost(), FakeHost()
    second.fails_to_start = True
    control = Control(first, second)
    async with acting(control):
        control.store.update(proposal=proposal(1))
        await control.serves(1)
        first.die(-9)
        await control.store.until(lambda state: isinstance(state.engine, Absent) and state.engine.deaths == 2)
    assert control.left == []


DRAINED = Setting("app", "a", "drain")


def with_backend(version: int) -> Proposal:
    pools = [{"name": "app", "resolved": False, "backends": [{"id": "a"}]}]
    return replace(proposal(version), spec={**spec(version), "pools": pools})


async def test_a_setting_is_said_once_and_again_to_the_next_engine_before_its_plan() -> None:
    first, second = FakeHost(), FakeHost()
    control = Control(first, second)
    async with acting(control):
        control.store.update(proposal=with_backend(1))
        await control.serves(1)
        control.store.update(settings={DRAINED.key: DRAINED})
        await control.store.until(
            lambda state: isinstance(state.engine, Running) and bool(state.engine.settings)
        )
        assert first.calls == [("apply", 1), ("set", DRAINED)]
        first.die(-9)
        await control.store.until(lambda state: state.restarts == 1)
        await control.serves(1)
        assert second.calls == [("set", DRAINED), ("apply", 1)]


async def test_an_adopted_engine_says_what_it_holds() -> None:
    host = FakeHost(serving=6)
    stats = BackendStats(id="a", address="x", operator=OperatorStats(mode="drain"))
    host.pools = (PoolStats(name="app", backends=(stats,)),)
    control = Control(host)
    async with acting(control):
        await control.store.until(lambda state: isinstance(state.engine, Running))
        assert control.store.state.settings == {DRAINED.key: DRAINED}
        control.store.update(proposal=with_backend(7))
        await control.serves(7)
        assert host.calls == [("apply", 7)]


async def test_a_setting_goes_with_its_backend() -> None:
    host = FakeHost()
    control = Control(host)
    async with acting(control):
        control.store.update(proposal=with_backend(1), settings={DRAINED.key: DRAINED})
        await control.serves(1)
        await control.store.until(lambda _: ("set", DRAINED) in host.calls)
        gone = replace(with_backend(2), spec={**spec(2), "pools": []})
        control.store.update(proposal=gone)
        await control.store.until(lambda state: state.accepted is not None and state.accepted.version == 2)
        assert control.store.state.settings == {}
    assert [name for name, _ in host.calls] == ["apply", "set", "apply", "command"]
