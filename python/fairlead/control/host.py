"""Where the engine runs: one protocol, two places.

A host is one life of an engine. `ProcessHost` starts a process that outlives its parent, or adopts the one
that already serves on the directory; `LocalHost` runs the engine inside this process, for libraries and
tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from fairlead import _engine
from fairlead.control.channel import Channel
from fairlead.control.errors import EngineLost, SettingsDiffer, describe_exit, refusal
from fairlead.control.messages import Applied, Changes, Event, Hello, Settings
from fairlead.model.stats import Connected, EngineStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from fairlead.control.messages import (
        CheckResult,
        Command,
        MemberList,
        Said,
        Setting,
        Spec,
        Update,
        Verdicts,
        Wanted,
    )

SOCKET = "engine.sock"
VERSION: str = _engine.__version__
"""Of the program; control and engine must be of the same."""

ENGINE_PROGRAM = (sys.executable, "-P", "-m", "fairlead.engine_process")
"""``-P``: the working directory is the operator's, and no place to import from."""

_STATS_SECONDS = 1.0
_EVENT_SECONDS = 0.2
_STOPPING_SECONDS = 3700.0
"""Longest wait for an engine that is already draining: the longest drain, and something."""


_log = structlog.get_logger("fairlead.control")


class Host(Protocol):
    """One life of an engine, wherever it runs."""

    closed: asyncio.Future[int | None]
    """Done when the engine has ended, with its exit code if that can be known (negative: a signal)."""

    adopted: bool
    """Whether `start` found an engine that was already serving."""

    async def start(self) -> Hello:
        """Start the engine, or adopt the one that lives; returns when it takes calls."""

    async def apply(self, spec: Spec) -> Applied:
        """Serve this configuration.

        Raises `PlanRefused` or `NeedsRestart` and changes nothing if it can't.
        """

    async def secrets(self, secrets: Mapping[str, Any]) -> None:
        """Give the certificates and keys that listeners ask for, before the configuration that names them.

        Raises `PlanRefused` and changes nothing if one of them is no good.
        """

    async def members(self, members: MemberList, generation: int) -> None:
        """Give a pool its whole list of backends."""

    async def restore(self, verdicts: Verdicts) -> None:
        """Tell what checks said in the engine before; it stands until their first results in this one.

        To be called before the first `apply`.
        """

    async def checked(self, result: CheckResult) -> bool:
        """Tell what a program said of a backend; whether more is wanted soon."""

    async def affinity(self, said: Said) -> None:
        """Tell pools whom clients belong to, as other nodes say."""

    async def set(self, setting: Setting) -> None:
        """Do what an operator wants of a backend; one that isn't there is ignored."""

    async def connections(self, wanted: Wanted) -> Connected:
        """Who is connected."""

    async def command(self, command: Command) -> None:
        """Reopen logs, or stop by a deadline."""

    async def stats(self, *, routes: bool = False) -> EngineStats:
        """What the engine counts now."""

    def updates(self) -> AsyncIterator[Update]:
        """Stats each second, and events, until the engine has ended."""

    def kill(self) -> None:
        """End the engine at once, cutting what is open."""

    async def release(self) -> None:
        """Let go of the engine. One in its own process serves on; one inside this process ends."""


class ProcessHost:
    """An engine in a process of its own, reached through ``engine.sock`` in its directory."""

    def __init__(self, settings: Settings, program: Sequence[str] = ENGINE_PROGRAM) -> None:
        self._settings = settings
        self._program = program
        if settings.directory is None:
            message = "an engine in a process of its own is reached through its directory"
            raise ValueError(message)
        self._socket = Path(settings.directory) / SOCKET
        self._channel: Channel | None = None
        self._pid: int | None = None
        self._waiter: asyncio.Task[None] | None = None
        self.adopted = False
        self.closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def start(self) -> Hello:
        """Adopt the engine that answers on the socket, else start one."""
        try:
            channel = await Channel.connect(self._socket, VERSION)
        except (FileNotFoundError, ConnectionRefusedError):
            return await self._spawn()
        except OSError as error:
            message = f"cannot connect to {self._socket}: {error.strerror}"
            raise EngineLost(message) from error
        if channel.hello.stopping:
            # It still closes its listeners: starting another now would compete for the same addresses.
            _log.info("waiting for the engine that is draining here", pid=channel.hello.pid)
            await channel.close()
            async with asyncio.timeout(_STOPPING_SECONDS):
                await _end_of(channel.hello.pid)
            return await self._spawn()
        return await self._adopt(channel)

    async def apply(self, spec: Spec) -> Applied:
        """See `Host.apply`."""
        return Applied.parse(await self._calls().call("apply", spec=spec))

    async def secrets(self, secrets: Mapping[str, Any]) -> None:
        """See `Host.secrets`."""
        await self._calls().call("secrets", secrets=secrets)

    async def members(self, members: MemberList, generation: int) -> None:
        """See `Host.members`."""
        await self._calls().call("members", members=members.document(generation))

    async def restore(self, verdicts: Verdicts) -> None:
        """See `Host.restore`."""
        await self._calls().call("restore", verdicts=verdicts)

    async def checked(self, result: CheckResult) -> bool:
        """See `Host.checked`."""
        return bool((await self._calls().call("checked", checked=result.document()))["more"])

    async def affinity(self, said: Said) -> None:
        """See `Host.affinity`."""
        await self._calls().call("affinity", affinity=said.document())

    async def set(self, setting: Setting) -> None:
        """See `Host.set`."""
        await self._calls().call("set", set=setting.document())

    async def connections(self, wanted: Wanted) -> Connected:
        """See `Host.connections`."""
        return Connected.model_validate(
            await self._calls().call("connections", connections=wanted.document())
        )

    async def command(self, command: Command) -> None:
        """See `Host.command`."""
        await self._calls().call("command", command=command)

    async def stats(self, *, routes: bool = False) -> EngineStats:
        """See `Host.stats`."""
        return EngineStats.model_validate(await self._calls().call("stats", routes=routes))

    def updates(self) -> AsyncIterator[Update]:
        """See `Host.updates`."""
        return self._calls().updates()

    def kill(self) -> None:
        """See `Host.kill`."""
        if self._pid is not None and not self.closed.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def release(self) -> None:
        """See `Host.release`."""
        if self._channel is not None:
            await self._channel.close()
        if self._waiter is not None:
            self._waiter.cancel()

    def _calls(self) -> Channel:
        if self._channel is None:
            raise EngineLost
        return self._channel

    async def _adopt(self, channel: Channel) -> Hello:
        hello = channel.hello
        if different := self._settings.differences(hello.settings):
            await channel.close()
            raise SettingsDiffer(hello.pid, different)
        self._channel, self._pid, self.adopted = channel, hello.pid, True
        self._waiter = asyncio.create_task(self._await_stranger(hello.pid), name="adopted engine")
        return hello

    async def _spawn(self) -> Hello:
        ready, ready_fd = os.pipe()
        try:
            # Not asyncio's subprocess: that kills its child when the loop ends, and this one must outlive us.
            process = await asyncio.to_thread(
                subprocess.Popen,
                [*self._program, json.dumps(self._settings.document(ready_fd=ready_fd))],
                stdin=subprocess.DEVNULL,
                pass_fds=(ready_fd,),
                start_new_session=True,  # neither Ctrl-C nor our end reaches it
            )
        except BaseException:
            os.close(ready)
            raise
        finally:
            os.close(ready_fd)
        self._pid = process.pid
        self._waiter = asyncio.create_task(self._await_child(process), name="engine process")
        if not await _says_ready(ready):
            code = await self.closed
            message = f"the engine process ended with {describe_exit(code)} before it was ready"
            raise EngineLost(message)
        try:
            self._channel = await Channel.connect(self._socket, VERSION)
        except OSError as error:
            message = f"the engine process said it was ready, but {self._socket}: {error.strerror}"
            raise EngineLost(message) from error
        return self._channel.hello

    async def _await_child(self, process: subprocess.Popen[bytes]) -> None:
        await _end_of(process.pid)
        self.closed.set_result(process.wait())

    async def _await_stranger(self, pid: int) -> None:
        await _end_of(pid)
        self.closed.set_result(None)


class LocalHost:
    """An engine inside this process. Its calls block without the GIL, so each takes a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: _engine.Engine | None = None
        self.adopted = False
        self.closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def start(self) -> Hello:
        """See `Host.start`."""
        settings = self._settings.document()
        self._engine = await asyncio.to_thread(_engine.Engine, json.dumps(settings))
        return Hello(
            version=VERSION,
            pid=os.getpid(),
            workers=self._settings.workers,
            plan_version=None,
            bound={},
            settings=settings,
        )

    async def apply(self, spec: Spec) -> Applied:
        """See `Host.apply`."""
        answer = await asyncio.to_thread(_translated, self._calls().apply, json.dumps(spec))
        return Applied.parse(json.loads(answer))

    async def secrets(self, secrets: Mapping[str, Any]) -> None:
        """See `Host.secrets`."""
        await asyncio.to_thread(_translated, self._calls().secrets, json.dumps(dict(secrets)))

    async def members(self, members: MemberList, generation: int) -> None:
        """See `Host.members`."""
        document = json.dumps(members.document(generation))
        await asyncio.to_thread(_translated, self._calls().members, document)

    async def restore(self, verdicts: Verdicts) -> None:
        """See `Host.restore`."""
        await asyncio.to_thread(_translated, self._calls().restore, json.dumps(verdicts))

    async def checked(self, result: CheckResult) -> bool:
        """See `Host.checked`."""
        document = json.dumps(result.document())
        return await asyncio.to_thread(self._calls().checked, document)

    async def affinity(self, said: Said) -> None:
        """See `Host.affinity`."""
        await asyncio.to_thread(_translated, self._calls().affinity, json.dumps(said.document()))

    async def set(self, setting: Setting) -> None:
        """See `Host.set`."""
        await asyncio.to_thread(_translated, self._calls().set, json.dumps(setting.document()))

    async def connections(self, wanted: Wanted) -> Connected:
        """See `Host.connections`."""
        document = json.dumps(wanted.document())
        answer = await asyncio.to_thread(_translated, self._calls().connections, document)
        return Connected.model_validate_json(answer)

    async def command(self, command: Command) -> None:
        """See `Host.command`."""
        if (stop := command.get("stop")) is not None:
            await self._stop(stop["deadline_ms"] / 1000)
        else:
            await asyncio.to_thread(_translated, self._calls().command, json.dumps(command))

    async def stats(self, *, routes: bool = False) -> EngineStats:
        """See `Host.stats`."""
        return EngineStats.model_validate_json(await asyncio.to_thread(self._calls().stats, routes))

    async def updates(self) -> AsyncIterator[Update]:
        """See `Host.updates`."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self.closed.done():
            if loop.time() >= due:
                due = loop.time() + _STATS_SECONDS
                yield await self.stats()
            event = await asyncio.to_thread(self._calls().next_event, _EVENT_SECONDS)
            if event is not None:
                yield Event.parse(json.loads(event))
            if changes := json.loads(await asyncio.to_thread(self._calls().affinity_changes)):
                yield Changes.parse(changes)

    def kill(self) -> None:
        """See `Host.kill`."""
        if self._engine is not None and not self.closed.done():
            self._engine.stop(0.0)
            self.closed.set_result(0)

    async def release(self) -> None:
        """See `Host.release`."""
        if self._engine is not None and not self.closed.done():
            await self._stop(0.0)

    def _calls(self) -> _engine.Engine:
        if self._engine is None or self.closed.done():
            raise EngineLost
        return self._engine

    async def _stop(self, deadline_seconds: float) -> None:
        await asyncio.to_thread(self._calls().stop, deadline_seconds)
        if not self.closed.done():
            self.closed.set_result(0)


def _translated(call: Any, *arguments: object) -> Any:  # noqa: ANN401 - as the native call has it
    """Call into the engine, with its refusals as the errors that the channel raises for the same."""
    try:
        return call(*arguments)
    except _engine.EngineError as error:
        raise refusal(json.loads(str(error))) from None


async def _says_ready(descriptor: int) -> bool:
    """Wait for the line on the pipe; its end without one means that the process died."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", 0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.readline() == b"ready\n"
    finally:
        transport.close()


async def _end_of(pid: int) -> None:
    """Wait for the end of a process, our child or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
