"""Checks of backends that are programs: made here, told to the engine, which judges by them as by its own."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from fairlead.control import program, reconcile
from fairlead.control.check_schedule import Key, Pace, Schedule
from fairlead.control.errors import EngineFault, EngineLost, Refused
from fairlead.control.messages import CheckResult
from fairlead.control.program import Outcome
from fairlead.control.store import Running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from fairlead.control.store import State, Store

_log = structlog.get_logger("fairlead.control")

__all__ = ["MOST", "Checks", "Target", "targets"]

MOST = 32
"""Programs at once; what is due meanwhile is made late."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is run, and about whom. Another one is another check."""

    command: tuple[str, ...]
    about: tuple[tuple[str, str], ...]


Run = tuple[Target, Pace, float]
"""A check, how often, and the seconds it may take."""


class Checks:
    """Runs the programs when they are due.

    Args:
        store: What is served, and by which engine.
        tell: Gives the engine a result; whether it wants more of them soon.
        user: Whom programs run as, if that isn't us.
        execute: Runs one.
    """

    def __init__(
        self,
        store: Store,
        tell: Callable[[CheckResult], Awaitable[bool]],
        *,
        user: str | None = None,
        execute: Callable[..., Awaitable[Outcome | None]] = program.run,
    ) -> None:
        self._store = store
        self._tell = tell
        self._user = user
        self._execute = execute
        self._schedule = Schedule()
        self._runs: Mapping[Key, Run] = {}
        self._defects: dict[Key, Target] = {}
        """Checks that failed as none should, and are logged."""
        self._running: set[asyncio.Task[None]] = set()
        self._life: object = None
        self._followed: tuple[object, object] | None = None
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Check until cancelled."""
        follower = asyncio.create_task(self._follow(), name="checks follow")
        try:
            while True:
                self._woken.clear()
                self._begin()
                await self._wait()
        finally:
            for task in (follower, *self._running):
                task.cancel()
            await asyncio.gather(follower, *self._running, return_exceptions=True)

    async def _follow(self) -> None:
        """Take over what is served whenever that changes."""
        while True:
            state = await self._store.until(lambda state: not self._follows(state))
            now = asyncio.get_running_loop().time()
            another = _life(state) != self._life
            self._life, self._followed = _life(state), (state.accepted, state.members)
            self._runs = dict(targets(state))
            self._schedule.retain(self._runs.keys())
            self._defects = {key: each for key, each in self._defects.items() if key in self._runs}
            for key, (target, pace, _) in self._runs.items():
                self._schedule.set(key, target, pace, now)
            if another:
                # What the engine before this one was told is not known to this one.
                self._schedule.hurry(now)
            self._woken.set()

    def _follows(self, state: State) -> bool:
        if self._followed is None or _life(state) != self._life:
            return False
        accepted, members = self._followed
        return accepted is state.accepted and members is state.members

    def _begin(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._running) < MOST and (taken := self._schedule.take(now)) is not None:
            key, target = taken
            task = asyncio.create_task(self._check(key, target), name=f"check of {'/'.join(key)}")
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()

    async def _check(self, key: Key, target: object) -> None:
        changing = True
        try:
            run = self._runs.get(key)
            if run is None or run[0] != target:
                return
            wanted, _, seconds = run
            outcome = await self._made(key, wanted, seconds)
            if outcome is not None and self._schedule.is_current(key, target):
                result = CheckResult(*key, outcome.good, outcome.reason, outcome.seconds)
                with contextlib.suppress(EngineLost, EngineFault, Refused):
                    changing = await self._tell(result)
        finally:
            self._schedule.done(key, target, asyncio.get_running_loop().time(), changing=changing)

    async def _made(self, key: Key, target: Target, seconds: float) -> Outcome | None:
        """Run the program. What nobody thought of is a bad result, told in full once for each check."""
        try:
            outcome = await self._execute(
                target.command, dict(target.about), seconds=seconds, user=self._user
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the backend has to be told of
            if self._defects.get(key) != target:
                self._defects[key] = target
                _log.exception("a check can't be made", pool=key[0], backend=key[1])
            return Outcome(good=False, reason=f"the check can't be made: {error!r}", seconds=0.0)
        self._defects.pop(key, None)
        return outcome

    async def _wait(self) -> None:
        due = self._schedule.next_due() if len(self._running) < MOST else None
        wait = None if due is None else max(0.0, due - asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._woken.wait()


def _life(state: State) -> float | None:
    """Which engine serves now."""
    return state.engine.since if isinstance(state.engine, Running) and state.engine.serving else None


def targets(state: State) -> Iterator[tuple[Key, Run]]:
    """The backends that are checked by programs, with their checks; none while no engine serves them."""
    if state.accepted is None or _life(state) is None:
        return
    for pool in reconcile.populated(state.accepted.spec, state.members)["pools"]:
        check = pool.get("health_check")
        match check:
            case {"probe": {"exec": {"command": command}}}:
                pace = Pace(check["interval_ms"] / 1000, check["fast_interval_ms"] / 1000)
                for backend in pool["backends"]:
                    target = Target(tuple(command), tuple(_about(pool["name"], backend, check["port"])))
                    yield (pool["name"], backend["id"]), (target, pace, check["timeout_ms"] / 1000)


def _about(pool: str, backend: Mapping[str, Any], port: int | None) -> Iterator[tuple[str, str]]:
    yield "FAIRLEAD_POOL", pool
    yield "FAIRLEAD_BACKEND", backend["id"]
    match backend["address"]:
        case {"ip": address}:
            host, _, own = str(address).rpartition(":")
            yield "FAIRLEAD_ADDRESS", host.strip("[]")
            yield "FAIRLEAD_PORT", str(port or own)
        case {"unix": path}:
            yield "FAIRLEAD_ADDRESS", f"unix:{path}"
            yield "FAIRLEAD_PORT", ""
