"""Checks by programs: which are made, about whom, and what becomes of their results."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from fairlead.control.checks import MOST, Checks, targets
from fairlead.control.messages import CheckResult, Hello, MemberList
from fairlead.control.program import Outcome
from fairlead.control.store import Absent, Proposal, Running, Store

HELLO = Hello(version="1", pid=7, workers=2, plan_version=None, bound={}, settings={})


def backend(address: str) -> dict[str, Any]:
    return {"id": address, "address": {"ip": address}}


def accepted(*backends: Mapping[str, Any], command: str = "check", **check: object) -> Proposal:
    health_check = {
        "interval_ms": 3_600_000,
        "fast_interval_ms": 1,
        "timeout_ms": 5_000,
        "port": None,
        "probe": {"exec": {"command": [command]}},
        **check,
    }
    pools = [
        {"name": "app", "resolved": True, "backends": list(backends), "health_check": health_check},
        {"name": "plain", "resolved": False, "backends": [backend("10.0.0.9:1")], "health_check": None},
    ]
    return Proposal(number=1, version=1, spec={"pools": pools}, source="f")


def running(since: float = 0.0) -> Running:
    return Running(hello=HELLO, adopted=False, since=since, serving=1)


@dataclass
class Programs:
    """Programs that end when the test says so, and the engine that is told."""

    store: Store
    begun: asyncio.Queue[tuple[Sequence[str], Mapping[str, str], asyncio.Future[Outcome | None]]] = field(
        default_factory=asyncio.Queue
    )
    told: asyncio.Queue[CheckResult] = field(default_factory=asyncio.Queue)
    wants_more: bool = False

    async def execute(
        self, command: Sequence[str], about: Mapping[str, str], *, seconds: float, user: str | None
    ) -> Outcome | None:
        assert (seconds, user) == (5.0, None)
        end: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        await self.begun.put((command, about, end))
        return await end

    async def tell(self, result: CheckResult) -> bool:
        await self.told.put(result)
        return self.wants_more

    async def next(self) -> tuple[str, str, asyncio.Future[Outcome | None]]:
        async with asyncio.timeout(20):
            command, about, end = await self.begun.get()
        return command[0], about["FAIRLEAD_BACKEND"], end

    async def result(self) -> CheckResult:
        async with asyncio.timeout(20):
            return await self.told.get()


@pytest.fixture
async def programs() -> AsyncIterator[Programs]:
    programs = Programs(Store())
    checks = Checks(programs.store, programs.tell, execute=programs.execute)
    task = asyncio.create_task(checks.run())
    yield programs
    task.cancel()
    await asyncio.wait([task])


GOOD = Outcome(good=True, reason="lag 1s", seconds=0.25)


def test_a_program_is_told_whom_to_check() -> None:
    store = Store()
    unix = {"id": "b", "address": {"unix": "/run/b.sock"}}
    store.update(accepted=accepted(backend("[2001:db8::1]:80"), unix), engine=running())
    about = {key: dict(target.about) for key, (target, _, _) in targets(store.state)}
    assert about == {
        ("app", "[2001:db8::1]:80"): {
            "FAIRLEAD_POOL": "app",
            "FAIRLEAD_BACKEND": "[2001:db8::1]:80",
            "FAIRLEAD_ADDRESS": "2001:db8::1",
            "FAIRLEAD_PORT": "80",
        },
        ("app", "b"): {
            "FAIRLEAD_POOL": "app",
            "FAIRLEAD_BACKEND": "b",
            "FAIRLEAD_ADDRESS": "unix:/run/b.sock",
            "FAIRLEAD_PORT": "",
        },
    }


def test_nobody_is_checked_for_an_engine_that_serves_nothing() -> None:
    store = Store()
    store.update(accepted=accepted(backend("10.0.0.1:80"), port=81), engine=Absent())
    assert list(targets(store.state)) == []
    store.update(engine=running(), members={"app": MemberList("app", (backend("10.0.0.2:80"),))})
    ((key, (target, _, seconds)),) = targets(store.state)
    assert (key, seconds, dict(target.about)["FAIRLEAD_PORT"]) == (("app", "10.0.0.2:80"), 5.0, "81")


async def test_a_new_backend_is_checked_at_once_and_its_result_is_told(programs: Programs) -> None:
    programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
    command, backend_id, end = await programs.next()
    assert (command, backend_id) == ("check", "10.0.0.1:80")
    end.set_result(GOOD)
    assert await programs.result() == CheckResult("app", "10.0.0.1:80", True, "lag 1s", 0.25)  # noqa: FBT003


async def test_while_a_state_changes_the_next_one_comes_soon(programs: Programs) -> None:
    programs.wants_more = True
    programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
    for _ in range(3):
        _, _, end = await programs.next()
        end.set_result(GOOD)
        await programs.result()


async def test_a_reload_checks_only_what_it_changed(programs: Programs) -> None:
    programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
    (await programs.next())[2].set_result(GOOD)
    await programs.result()
    programs.store.update(accepted=accepted(backend("10.0.0.1:80"), backend("10.0.0.2:80")))
    assert (await programs.next())[1] == "10.0.0.2:80"
    programs.store.update(accepted=accepted(backend("10.0.0.1:80"), command="other"))
    command, backend_id, _ = await programs.next()
    assert (command, backend_id, programs.begun.empty()) == ("other", "10.0.0.1:80", True)


async def test_the_result_of_a_check_that_is_no_more_is_not_told(programs: Programs) -> None:
    programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
    _, _, old = await programs.next()
    programs.store.update(accepted=accepted(backend("10.0.0.1:80"), command="other"))
    _, _, new = await programs.next()
    old.set_result(Outcome(good=False, reason="old", seconds=0.0))
    new.set_result(GOOD)
    assert (await programs.result()).reason == "lag 1s"
    assert programs.told.empty()


async def test_another_engine_is_told_at_once(programs: Programs) -> None:
    programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
    (await programs.next())[2].set_result(GOOD)
    await programs.result()
    programs.store.update(engine=Absent())
    programs.store.update(engine=running(since=1.0))
    assert (await programs.next())[1] == "10.0.0.1:80"


async def test_so_many_run_at_once_and_no_more(programs: Programs) -> None:
    backends = [backend(f"10.0.0.{number}:80") for number in range(MOST + 1)]
    programs.store.update(accepted=accepted(*backends), engine=running())
    ends = [(await programs.next())[2] for _ in range(MOST)]
    assert programs.begun.empty()
    ends[0].set_result(GOOD)
    await programs.next()


async def test_what_could_not_be_run_says_nothing_and_is_tried_again(programs: Programs) -> None:
    programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
    (await programs.next())[2].set_result(None)
    await programs.next()
    assert programs.told.empty()


async def test_what_nobody_thought_of_is_a_bad_result_and_logged_once(programs: Programs) -> None:
    programs.wants_more = True
    with structlog.testing.capture_logs() as logs:
        programs.store.update(accepted=accepted(backend("10.0.0.1:80")), engine=running())
        for _ in range(3):
            (await programs.next())[2].set_exception(ValueError("embedded null byte"))
            result = await programs.result()
            assert (result.good, result.reason) == (
                False,
                "the check can't be made: ValueError('embedded null byte')",
            )
    assert [(each["log_level"], each["event"], each["backend"]) for each in logs] == [
        ("error", "a check can't be made", "10.0.0.1:80")
    ]
