"""Wires everybody: reads, starts, waits, drains. One `Daemon` is one life of ``fairlead run``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import time
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from fairlead.admin import access, server
from fairlead.compile import bind_address
from fairlead.control import directory as directories
from fairlead.control import machine, report, sharing
from fairlead.control.act import Actor
from fairlead.control.checks import Checks
from fairlead.control.errors import EngineLost, NeedsRestart, Refused
from fairlead.control.events import EventLog
from fairlead.control.host import ENGINE_PROGRAM, VERSION, ProcessHost
from fairlead.control.lock import DirectoryLock
from fairlead.control.messages import REOPEN_LOGS, MemberList, Settings, Wanted
from fairlead.control.operate import Operators
from fairlead.control.reconcile import pinned
from fairlead.control.renewal import Renewal
from fairlead.control.secret import keyed
from fairlead.control.sharing import Sharing
from fairlead.control.store import Proposal, Running, Store
from fairlead.discover import DnsResolver, EventLoopClock, ResolveError, Watch
from fairlead.errors import ConfigurationError, FairleadError, Problem, UsageError, dotted
from fairlead.model.status import BackendDetail, Operated, ReloadResult, ReloadStatus, Status
from fairlead.model.status import Problem as ShownProblem
from fairlead.observe import logs
from fairlead.observe.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fairlead.compile import Accepted
    from fairlead.control.events import Reader
    from fairlead.control.messages import Said
    from fairlead.control.source import Source
    from fairlead.model import Configuration
    from fairlead.model.stats import Connected, EngineStats, Mode

_TOLD_OTHERWISE = {"workers", "directory", "user"}
"""Of `runtime`: an engine's settings have fields for these."""

_GRACE_SECONDS = 10.0
_RESOLVE_SECONDS = 6.0
"""A little more than a question over all servers takes."""

_log = structlog.get_logger("fairlead")


class Stopping(FairleadError):  # noqa: N818 - the condition is its name
    """A configuration came too late."""

    def __init__(self) -> None:
        super().__init__("Fairlead is stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says beside the configuration."""

    directory: Path | None = None
    ready_fd: int | None = None
    engine: Sequence[str] = ENGINE_PROGRAM
    announce: Callable[[Status, Configuration], None] = lambda _status, _configuration: None
    """Called once, when it is ready."""


class Daemon:
    """The control process of one instance."""

    def __init__(self, source: Source, options: Options) -> None:
        self._source = source
        self._options = options
        self._store = Store()
        self._sharing = Sharing(self._store, self._say)
        self._events = EventLog()
        self._actor = Actor(self._store, self._new_host, self._sharing.take, self._events)
        self._operators = Operators(self._store, self._actor.refresh)
        self._reloading = asyncio.Lock()
        self._renewal = Renewal(self._store, self._actor.secrets, self._events, self._reloading)
        self._last_reload: ReloadStatus | None = None
        self._numbers = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watch = Watch(EventLoopClock(), on_failure=_unresolved)
        self._coming: dict[str, MemberList] | None = None
        """While a configuration is proposed: what its names stand for. The one before keeps its own."""

    async def run(self) -> None:
        """Serve until a signal says to stop; raises what prevents it."""
        self._readiness = Readiness(self._options.ready_fd)
        self._accepted = await asyncio.to_thread(self._source.read)
        self._configuration = self._accepted.configuration
        self._refuse_missing(self._configuration)
        logs.set_up(self._configuration.logging.level, self._configuration.logging.format)
        self._settings = self._settle()
        with DirectoryLock(self._directory), self._signals():
            try:
                await self._live()
            except BaseExceptionGroup as group:
                if (ours := group.subgroup(FairleadError)) is None:
                    raise
                raise _first(ours) from None
            finally:
                await self._actor.release(stop_unproven=True)

    # What the admin API stands on.

    def status(self) -> Status:
        """The state as it is now."""
        return report.status(
            self._store.state,
            version=VERSION,
            pid=os.getpid(),
            directory=self._directory,
            reload=self._last_reload,
        )

    async def refresh(self) -> None:
        """Have the engine's counts in `status` be those of this moment, if there is an engine."""
        with contextlib.suppress(FairleadError):
            await self._actor.refresh()

    async def stats(self) -> EngineStats:
        """The engine's counts at this moment, routes included."""
        return await self._actor.stats(routes=True)

    async def connections(self, limit: int, listener: str | None, client: str | None) -> Connected:
        """Who is connected at this moment."""
        return await self._actor.connections(Wanted(limit=limit, listener=listener, client=client))

    def events(self, last: str | None) -> Reader:
        """Events from behind the one with this id, or from now on."""
        return self._events.reader(last)

    def backend(self, pool: str, backend: str) -> BackendDetail | None:
        """Everything that is known of one backend; its counts are the engine's last ones."""
        return report.backend(
            self._store.state, self._configuration, (pool, backend), self._events.about(pool, backend)
        )

    def configuration(self) -> dict[str, Any]:
        """The configuration that was accepted last, without its secrets."""
        return self._configuration.model_dump(mode="json", exclude={"include"})

    async def reload(self) -> ReloadResult:
        """Read the source again and serve it if that can be; else the one before goes on."""
        async with self._reloading:
            self._readiness.reloading()
            result = await self._reload()
            self._readiness.reloaded()
        now = time.time_ns() // 1_000_000
        self._last_reload = ReloadStatus(accepted=result.accepted, at_ms=now, problems=result.problems)
        if result.accepted:
            _log.info("reloaded", plan=result.plan_version, source=self._source.name)
            self._events.append("reloaded", {"plan": result.plan_version, "source": self._source.name})
        else:
            self._events.append("reload_refused", {"problems": [str(one) for one in result.problems]})
        for problem in result.problems:
            _log.error("reload refused, the configuration before serves on", problem=str(problem))
        return result

    async def stand(self, pool: str, backend: str, mode: Mode) -> Operated:
        """Drain or disable a backend, or take that back."""
        operated = await self._operators.stand(pool, backend, mode)
        self._events.append("operator", {"pool": pool, "backend": backend, "mode": mode})
        return operated

    async def weigh(self, pool: str, backend: str, weight: int | None) -> Operated:
        """Give a backend another weight, or the configured one."""
        operated = await self._operators.weigh(pool, backend, weight)
        self._events.append("operator", {"pool": pool, "backend": backend, "weight": weight})
        return operated

    # Its life.

    async def _live(self) -> None:
        policy = _policy(self._configuration)
        api = server.application(self, policy)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            await stack.enter_async_context(
                server.serving(api, self._directory / server.SOCKET, _owner(self._settings.user))
            )
            background = [
                tasks.create_task(self._discover(), name="discovery"),
                tasks.create_task(self._check(), name="checks"),
                tasks.create_task(self._begin(), name="begin"),
                tasks.create_task(self._sharing.run(), name="sharing"),
                tasks.create_task(self._renewal.run(), name="renewal"),
            ]
            await self._actor.run()
            for task in background:
                task.cancel()

    async def _begin(self) -> None:
        """Have the first configuration served and say so."""
        await self._store.until(lambda state: isinstance(state.engine, Running))
        async with self._reloading:
            try:
                await self._propose(self._accepted)
            except Stopping:
                return
        await self._store.until(lambda state: state.ready)
        self._readiness.ready()
        status = self.status()
        listeners = {one.name: [bind.bound for bind in one.binds] for one in status.listeners}
        _log.info("ready", listeners=listeners, admin=status.admin)
        self._options.announce(status, self._configuration)

    async def _check(self) -> None:
        """Run the programs that check backends."""
        await Checks(self._store, self._actor.checked, user=self._settings.user).run()

    async def _discover(self) -> None:
        """Take what names stand for, whenever that changes."""
        async for change in self._watch.changes():
            members = MemberList(change["pool"], tuple(change["backends"]))
            if self._coming is not None:
                self._coming[members.pool] = members
            else:
                self._store.update(members={**self._store.state.members, members.pool: members})

    async def _reload(self) -> ReloadResult:
        try:
            read = await asyncio.to_thread(self._source.read)
            _refuse_changes(self._source, self._configuration, read.configuration)
            self._refuse_missing(read.configuration)
            await self._propose(read)
        except (ConfigurationError, Refused) as error:
            return self._refused(error.problems, needs_restart=isinstance(error, NeedsRestart))
        except FairleadError as error:
            return self._refused([Problem((), str(error))], needs_restart=False)
        self._configuration = read.configuration
        logs.set_up(read.configuration.logging.level, read.configuration.logging.format)
        return ReloadResult(accepted=True, plan_version=self._version())

    def _refused(self, problems: Iterable[Problem], *, needs_restart: bool) -> ReloadResult:
        shown = tuple(_shown(problem) for problem in problems)
        return ReloadResult(
            accepted=False, plan_version=self._version(), needs_restart=needs_restart, problems=shown
        )

    async def _propose(self, accepted: Accepted) -> None:
        """Resolve its names, then have the engine serve it; raises what that has against it."""
        self._coming = {}
        self._watch.use(accepted.configuration, DnsResolver(accepted.configuration.resolver))
        try:
            # Names that nobody answers for must not hold up the others for ever.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESOLVE_SECONDS):
                    await self._watch.settled()
            await self._offer(accepted, dict(self._coming))
            self._store.update(members=dict(self._coming))
            self._sharing.use(accepted.configuration)
            self._renewal.use(accepted)
        except FairleadError:
            if self._store.state.accepted is not None:
                before = self._configuration
                self._watch.use(before, DnsResolver(before.resolver))
            raise
        finally:
            self._coming = None
            self._source.forget()

    async def _offer(self, accepted: Accepted, members: dict[str, MemberList]) -> None:
        self._numbers += 1
        number = self._numbers
        version = (self._version() or 0) + 1
        memory = accepted.spec["max_memory_bytes"] or machine.memory_limit()
        spec = pinned(
            {**accepted.spec, "version": version, "max_memory_bytes": memory}, self._store.state.bound
        )
        spec = keyed(spec, self._directory)
        proposal = Proposal(
            number=number,
            version=version,
            spec=spec,
            source=self._source.name,
            members=members,
            secrets=accepted.secrets,
        )
        self._store.update(proposal=proposal)
        state = await self._store.until(lambda state: state.outcome(number))
        if state.refusal is not None and state.refusal.number == number:
            error = state.refusal.error
            if isinstance(error, Refused):
                raise type(error)(self._source.place(error.problems))
            raise error
        if state.proposal is not None:
            raise state.failure or Stopping

    def _refuse_missing(self, configuration: Configuration) -> None:
        if problems := list(sharing.missing(configuration)):
            raise ConfigurationError(self._source.place(problems))

    async def _say(self, said: Said) -> None:
        await self._actor.affinity(said)

    def _version(self) -> int | None:
        engine = self._store.state.engine
        if (accepted := self._store.state.accepted) is not None:
            return accepted.version
        return engine.serving if isinstance(engine, Running) else None

    def _new_host(self) -> ProcessHost:
        settings = self._settings.bound_to(self._store.state.admin)
        return ProcessHost(settings, self._options.engine)

    def _settle(self) -> Settings:
        runtime, admin = self._configuration.runtime, self._configuration.admin
        wanted = self._options.directory or (Path(runtime.directory) if runtime.directory else None)
        self._directory = directories.prepare(wanted or directories.default())
        return Settings(
            directory=str(self._directory),
            workers=runtime.workers or machine.cores(),
            admin_binds=tuple(bind_address(bind) for bind in admin.bind),
            user=runtime.user,
            log_level=self._configuration.logging.level,
            started_with={
                f"runtime.{key}": str(value)
                for key, value in runtime.model_dump(mode="json", exclude=_TOLD_OTHERWISE).items()
            },
        )

    # Signals.

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: lambda: self._spawn(self.reload()),
            signal.SIGUSR1: lambda: self._spawn(self._reopen_logs()),
            signal.SIGUSR2: lambda: _log.warning("upgrading in place is not supported in this version"),
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a signal's work failed", exc_info=error)

    def _stop(self) -> None:
        if self._store.state.stop is not None:
            _log.warning("ending at once")
            self._actor.kill()
            return
        timeout = self._configuration.runtime.drain_timeout
        _log.info("draining", timeout=str(timeout))
        self._readiness.stopping()
        seconds = timeout.milliseconds / 1000
        self._store.update(stop=seconds)
        # The engine keeps the deadline itself; one that doesn't must not keep us.
        asyncio.get_running_loop().call_later(seconds + _GRACE_SECONDS, self._actor.kill)

    async def _reopen_logs(self) -> None:
        try:
            await self._actor.command(REOPEN_LOGS)
        except FairleadError as error:
            _log.error("logs not reopened", reason=str(error))
        else:
            _log.info("logs reopened")


def _unresolved(error: ResolveError) -> None:
    _log.warning("name not resolved, its last addresses stand", reason=str(error))


def _refuse_changes(source: Source, before: Configuration, after: Configuration) -> None:
    """`runtime` and `admin` are what the processes were started with."""
    problems = [
        Problem((section, key), "a change of this needs a restart")
        for section in ("runtime", "admin")
        for key in type(getattr(before, section)).model_fields
        if getattr(getattr(before, section), key) != getattr(getattr(after, section), key)
    ]
    if problems:
        raise NeedsRestart(source.place(problems))


def _policy(configuration: Configuration) -> access.Policy:
    admin = configuration.admin
    tokens = (
        access.Token(name, one.role, one.token.get_secret_value()) for name, one in admin.tokens.items()
    )
    return access.Policy(tokens=tuple(tokens))


def _owner(user: str | None) -> int | None:
    """Who must be able to open our socket: the engine relays to it after it dropped to this user."""
    if user is None:
        return None
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        message = f"runtime.user: there is no user {user!r}"
        raise UsageError(message) from None
    if uid == os.getuid():
        return None
    if os.getuid() != 0:
        message = f"runtime.user: only root can have the engine drop to {user!r}"
        raise UsageError(message)
    return uid


def _shown(problem: Problem) -> ShownProblem:
    where = ": ".join(part for part in (str(problem.place or ""), dotted(problem.path)) if part)
    return ShownProblem(where=where, message=problem.message)


def _first(group: BaseExceptionGroup[FairleadError]) -> FairleadError:
    """The cause in a tree of groups; what followed from it says less."""
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return EngineLost()
