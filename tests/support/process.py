"""Fairlead as users run it: real processes on real sockets, ready by their own word, ended at the end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

READY_SECONDS = 30.0


@dataclass
class Running:
    """A `fairlead run` that said it is ready."""

    process: asyncio.subprocess.Process
    directory: Path
    config: Path
    output: list[str] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def pid(self) -> int:
        """Of the control process."""
        return self.process.pid

    async def status(self) -> dict[str, Any]:
        """`/api/v1/status` by the admin socket: what the engine reported last, each second."""
        return await self._api("status")

    async def stats(self) -> dict[str, Any]:
        """`/api/v1/stats`: the engine's counts at this moment."""
        return await self._api("stats")

    async def _api(self, name: str) -> dict[str, Any]:
        code, text = await self.admin(f"/api/v1/{name}")
        assert code == 200, text
        found: dict[str, Any] = json.loads(text)
        return found

    async def admin(self, path: str) -> tuple[int, str]:
        """Status and text of any path of the admin socket."""
        connector = aiohttp.UnixConnector(str(self.directory / "admin.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://fairlead{path}") as answer,
        ):
            return answer.status, await answer.text()

    async def address(self, listener: str = "web") -> str:
        """Where a listener is bound, as `127.0.0.1:40123`."""
        for found in (await self.status())["listeners"]:
            if found["name"] == listener:
                return str(found["binds"][0]["bound"])
        message = f"no listener {listener}"
        raise AssertionError(message)

    async def reload(self, configuration: Mapping[str, Any]) -> int:
        """Write another configuration, send SIGHUP, wait until `/status` shows its version."""
        before = (await self.status())["plan_version"]
        write(self.config, configuration)
        self.process.send_signal(signal.SIGHUP)
        while (version := (await self.status())["plan_version"]) == before:
            pass
        return int(version)

    async def said(self, text: str, seconds: float = 20.0) -> str:
        """Wait for a line of its output that contains `text`."""
        async with asyncio.timeout(seconds), self._changed:
            while True:
                for line in self.output:
                    if text in line:
                        return line
                await self._changed.wait()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait; its exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()

    async def _listen(self, descriptor: int) -> None:
        reader, transport = await _reader(descriptor)
        while line := await reader.readline():
            async with self._changed:
                self.output.append(line.decode().rstrip())
                self._changed.notify_all()
        transport.close()


def write(path: Path, configuration: Mapping[str, Any]) -> None:
    """JSON is YAML."""
    path.write_text(json.dumps(configuration, indent=1))


def configuration(directory: Path, *backends: str | Mapping[str, Any], **more: object) -> dict[str, Any]:
    """One listener `web` on a free port before one pool `app`; `more` adds to the pool."""
    return {
        "runtime": {"directory": str(directory), "workers": 1},
        "listeners": {"web": {"bind": "127.0.0.1:0", "pool": "app"}},
        "pools": {"app": {"backends": list(backends), **more}},
    }


@contextlib.asynccontextmanager
async def run(
    config: Path, directory: Path, *arguments: str, inside: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """Start `fairlead run CONFIG` and wait for `ready` on a descriptor of its own.

    `inside` is a command that runs it somewhere else.
    """
    reading, writing = os.pipe()
    # No pipe of asyncio: an engine that outlives its control process holds it open, and `wait` waits for it.
    output, printing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *inside,
        sys.executable,
        "-m",
        "fairlead",
        "run",
        str(config),
        "--ready-fd",
        str(writing),
        *arguments,
        stdout=printing,
        stderr=printing,
        pass_fds=(writing,),
    )
    os.close(writing)
    os.close(printing)
    running = Running(process, directory, config)
    listening = asyncio.create_task(running._listen(output))  # noqa: SLF001 - its own module
    try:
        await _ready(reading, running)
        yield running
    finally:
        await end(running)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader, transport


async def _ready(descriptor: int, running: Running) -> None:
    reader, transport = await _reader(descriptor)
    try:
        async with asyncio.timeout(READY_SECONDS):
            line = await reader.readline()
    finally:
        transport.close()
    if line != b"ready\n":
        await running.process.wait()
        text = "\n".join(running.output)
        message = f"fairlead ended with {running.process.returncode} before it was ready:\n{text}"
        raise AssertionError(message)


async def end(running: Running) -> None:
    """Leave nothing behind: neither the control process nor an engine that outlived it."""
    if running.process.returncode is None:
        running.process.terminate()
        try:
            async with asyncio.timeout(10):
                await running.process.wait()
        except TimeoutError:
            running.process.kill()
            await running.process.wait()
    for pid in engines(running.directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def engines(directory: Path) -> list[int]:
    """The engine processes that serve from this directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "fairlead.engine_process" in command and str(directory) in command:
                found.append(int(entry.name))
    return found
