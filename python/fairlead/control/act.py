"""Does what `reconcile` says, one action at a time, and writes down what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from fairlead.control import reconcile
from fairlead.control.errors import EngineFault, EngineLost, Refused, describe_exit
from fairlead.control.events import EventLog
from fairlead.control.messages import Changes, Event, Setting, stop_command
from fairlead.control.reconcile import (
    Action,
    ApplyPlan,
    Fail,
    Finish,
    SendMembers,
    SendSetting,
    StartEngine,
    StopEngine,
    next_action,
)
from fairlead.control.store import Absent, Refusal, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead.control.host import Host
    from fairlead.control.messages import BackendKey, Change, CheckResult, Command, Said, Wanted
    from fairlead.control.store import Proposal, Store
    from fairlead.model.stats import Connected, EngineStats

_EXIT_SECONDS = 5.0
"""How long after the end of its connection a process may take to be gone."""

_LEVELS = {
    # One for each of thousands at a start, and what they say is in the configuration.
    "backend_joined": "debug",
    "backend_left": "debug",
    # `run` says it too, when it has seen it.
    "ready": "debug",
    "applied": "debug",
    "accept_paused": "warning",
    "backend_tls_failed": "warning",
    "log_error": "error",
    "worker_panic": "error",
}
"""Of events; all others are worth a line."""

_log = structlog.get_logger("fairlead.control")


class Actor:
    """Brings an engine to the desired state and keeps it there; returns when a stop is done."""

    def __init__(
        self,
        store: Store,
        new_host: Callable[[], Host],
        on_changes: Callable[[tuple[Change, ...]], None] = lambda _: None,
        events: EventLog | None = None,
    ) -> None:
        self._store = store
        self._new_host = new_host
        self._on_changes = on_changes
        self._events = EventLog() if events is None else events
        self._host: Host | None = None

    async def run(self) -> None:
        """Act until all is stopped; raises what ends the run."""
        async with asyncio.TaskGroup() as watchers:
            while True:
                state = await self._store.until(lambda state: next_action(state) is not None)
                match next_action(state):
                    case None | Finish():
                        break
                    case Fail(error):
                        self._store.update(failure=error)
                        raise error
                    case action:
                        await self._perform(action, watchers)

    async def command(self, command: Command) -> None:
        """A command of the operator's, at once."""
        await self._living().command(command)

    async def secrets(self, secrets: Mapping[str, Any]) -> None:
        """Certificates and keys that were renewed."""
        await self._living().secrets(secrets)

    async def checked(self, result: CheckResult) -> bool:
        """What a program said of a backend; whether the engine wants more of that soon."""
        return await self._living().checked(result)

    async def affinity(self, said: Said) -> None:
        """What other nodes say of clients."""
        await self._living().affinity(said)

    async def stats(self, *, routes: bool) -> EngineStats:
        """What the engine counts at this moment."""
        return await self._living().stats(routes=routes)

    async def connections(self, wanted: Wanted) -> Connected:
        """Who is connected at this moment."""
        return await self._living().connections(wanted)

    async def refresh(self) -> None:
        """See what the engine says now instead of within a second: readiness hangs on it."""
        self._store.update(stats=await self._living().stats())

    def kill(self) -> None:
        """End the engine at once."""
        if self._host is not None:
            self._host.kill()

    async def release(self, *, stop_unproven: bool) -> None:
        """Let go of the engine, which serves on.

        One of ours that never served a configuration is ended on request.
        """
        host, state = self._host, self._store.state
        if host is None:
            return
        if stop_unproven and not host.adopted and state.accepted is None:
            host.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_SECONDS):
                    await asyncio.shield(host.closed)
        await host.release()

    async def _perform(self, action: Action, watchers: asyncio.TaskGroup) -> None:
        engine = self._store.state.engine
        try:
            match action:
                case StartEngine(delay):
                    await self._start(delay, watchers)
                case ApplyPlan(proposal, again):
                    await (self._apply_again(proposal) if again else self._apply(proposal))
                case SendMembers():
                    await self._send_members(action)
                case SendSetting(setting):
                    await self._send_setting(setting)
                case StopEngine(deadline):
                    await self._living().command(stop_command(deadline))
                    self._store.observe_engine(stopping=True)
        except EngineLost as error:
            _log.debug("lost the engine", action=type(action).__name__, reason=str(error))
            # Its watcher writes down the death; until then there is nothing to decide.
            await self._store.until(lambda state: not _same_life(state.engine, engine))

    async def _start(self, delay: float, watchers: asyncio.TaskGroup) -> None:
        if delay:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._store.until(lambda state: state.stop is not None)
                    return
        absent = self._store.state.engine
        host = self._new_host()
        try:
            hello = await host.start()
            stats = await host.stats()
        except EngineLost as error:
            if not host.adopted:
                host.kill()
            await host.release()
            self._did_not_start(absent, str(error))
            return
        self._host = host
        running = Running(
            hello=hello,
            adopted=host.adopted,
            since=asyncio.get_running_loop().time(),
            serving=hello.plan_version,
            generations=stats.generations(),
            settings=(held := _held(stats)),
            deaths=absent.deaths,
        )
        self._store.update(
            engine=running,
            stats=stats,
            bound={**self._store.state.bound, **hello.bound},
            admin=hello.admin or self._store.state.admin,
            settings={**held, **self._store.state.settings},
        )
        how = "adopted the engine that serves here" if host.adopted else "engine started"
        _log.info(how, pid=hello.pid, workers=hello.workers, plan=hello.plan_version)
        self._events.append("engine_started", {"pid": hello.pid, "adopted": host.adopted})
        watchers.create_task(self._watch(host, running), name="engine watcher")

    async def _apply(self, proposal: Proposal) -> None:
        before = self._store.state.accepted
        try:
            await self._give_secrets(proposal, before)
            applied = await self._living().apply(reconcile.populated(proposal.spec, proposal.members))
        except (Refused, EngineFault) as error:
            # The configuration that stays goes on with what it had.
            if before is not None and before.secrets:
                await self._living().secrets(before.secrets)
            self._store.update(proposal=None, refusal=Refusal(proposal.number, error))
            return
        state = self._store.state
        self._store.observe_engine(serving=applied.version)
        if isinstance(state.engine, Running):
            self._store.observe_engine(settings=reconcile.kept(state.engine.settings, proposal))
        self._store.update(
            proposal=None,
            refusal=None,
            accepted=reconcile.accepted(state, proposal, applied.bound),
            accepted_at_ms=time.time_ns() // 1_000_000,
            bound=applied.bound,
            members=proposal.members,
            settings=reconcile.kept(state.settings, proposal),
        )
        await self.refresh()

    async def _apply_again(self, proposal: Proposal) -> None:
        """What an engine served before its death.

        That the next one can't (a port was taken) counts as a death.
        """
        try:
            if self._store.state.verdicts:
                await self._living().restore(self._store.state.verdicts)
            await self._give_secrets(proposal, None)
            spec = reconcile.populated(proposal.spec, self._store.state.members)
            applied = await self._living().apply(spec)
        except (Refused, EngineFault) as error:
            _log.error("the new engine can't serve the last configuration", reason=str(error))
            self.kill()
            raise EngineLost from error
        self._store.observe_engine(serving=applied.version)
        self._store.update(bound=applied.bound)
        _log.info("engine serves again", plan=applied.version)
        await self.refresh()

    async def _give_secrets(self, proposal: Proposal, before: Proposal | None) -> None:
        """Certificates go ahead of the configuration that names them."""
        had = before is not None and any(before.secrets.values())
        if had or any(proposal.secrets.values()):
            await self._living().secrets(proposal.secrets)

    async def _send_members(self, action: SendMembers) -> None:
        members = action.members
        try:
            await self._living().members(members, action.generation)
        except (Refused, EngineFault) as error:
            # Marked as sent all the same: the same list would be refused again, the next one may not be.
            _log.error("the engine refused a list of backends", pool=members.pool, reason=str(error))
        engine = self._store.state.engine
        if isinstance(engine, Running):
            self._store.observe_engine(
                sent={**engine.sent, members.pool: members},
                generations={**engine.generations, members.pool: action.generation},
            )
        await self.refresh()

    async def _send_setting(self, setting: Setting) -> None:
        try:
            await self._living().set(setting)
        except (Refused, EngineFault) as error:
            # Marked as said all the same, as members are.
            _log.error("the engine refused an operator's setting", pool=setting.pool, reason=str(error))
        engine = self._store.state.engine
        if isinstance(engine, Running):
            self._store.observe_engine(settings=reconcile.with_setting(engine.settings, setting))

    async def _watch(self, host: Host, running: Running) -> None:
        async for update in host.updates():
            if isinstance(update, Event):
                _tell(update)
                self._events.append(update.kind, update.details, update.at_ms)
                if update.kind == "ready":
                    await self._see(host)
            elif isinstance(update, Changes):
                self._on_changes(update.changes)
            else:
                self._store.update(stats=update)
        code: int | None = None
        try:
            async with asyncio.timeout(_EXIT_SECONDS):
                code = await asyncio.shield(host.closed)
        except TimeoutError:
            _log.error("the engine hung up but lives", pid=running.hello.pid)
        await host.release()
        if self._host is host:
            self._host = None
        self._events.append("engine_ended", {"pid": running.hello.pid, "exit": describe_exit(code)})
        self._died(self._store.state.engine, asyncio.get_running_loop().time() - running.since, code)

    async def _see(self, host: Host) -> None:
        """As `refresh`; an engine that died meanwhile is noticed by who watches it."""
        with contextlib.suppress(EngineLost):
            self._store.update(stats=await host.stats())

    def _did_not_start(self, engine: Running | Absent, reason: str) -> None:
        absent = replace(reconcile.after_death(engine, 0.0, None), reason=reason)
        self._store.update(engine=absent)
        if self._store.state.accepted is not None:
            pause = reconcile.backoff(absent.deaths)
            _log.error("engine did not start, trying again", reason=reason, pause_seconds=pause)

    def _died(self, engine: Running | Absent, lived: float, code: int | None) -> None:
        state = self._store.state
        if isinstance(engine, Running) and state.stop is not None:
            self._store.update(engine=Absent(code=code))
            _log.info("engine stopped", exit=describe_exit(code))
            return
        absent = reconcile.after_death(engine, lived, code)
        # One that died before it served says nothing, and what is known from the one before it stays.
        self._store.update(verdicts={**state.verdicts, **state.stats.verdicts()})
        restarts = state.restarts + (state.accepted is not None)
        self._store.update(engine=absent, restarts=restarts)
        if state.accepted is not None:
            pause = reconcile.backoff(absent.deaths)
            _log.error(
                "engine ended unasked, starting another", exit=describe_exit(code), pause_seconds=pause
            )

    def _living(self) -> Host:
        if self._host is None:
            raise EngineLost
        return self._host


def _held(stats: EngineStats) -> dict[BackendKey, Setting]:
    """What an engine says that it holds of an operator's."""
    return {
        (pool.name, one.id): Setting(pool.name, one.id, one.operator.mode, one.operator.weight)
        for pool in stats.pools
        for one in pool.backends
        if one.operator is not None
    }


def _tell(event: Event) -> None:
    say = getattr(_log, _LEVELS.get(event.kind, "info"))
    say(event.kind.replace("_", " "), **event.details)


def _same_life(one: Running | Absent, other: Running | Absent) -> bool:
    return isinstance(one, Running) and isinstance(other, Running) and one.since == other.since
