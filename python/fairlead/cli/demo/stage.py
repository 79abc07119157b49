"""The processes of the demo: sample backends, and a Fairlead before them as anybody would run it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Self

from fairlead.admin.client import Client
from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from fairlead.model.status import ReloadResult, Status

_START_SECONDS = 30.0
_END_SECONDS = 5.0


@dataclass(slots=True)
class Backend:
    """A sample backend; it keeps its address over its deaths."""

    name: str
    delay: float = 0.0
    weight: int = 1
    address: str = ""
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start it, again on the address it had."""
        port = self.address.rpartition(":")[2] or "0"
        self.process = await _python(
            *("fairlead.testing", "--name", self.name, "--port", port, "--delay", str(self.delay)),
            stdout=PIPE,
        )
        if self.process.stdout is None or not (line := await self.process.stdout.readline()):
            message = f"the sample backend {self.name} did not start"
            raise FairleadError(message)
        self.address = line.decode().strip()

    async def kill(self) -> None:
        """End it without a word, in the middle of what it does."""
        if self.process is not None and self.runs:
            self.process.kill()
            await self.process.wait()


class Stage:
    """Everything the story needs, from start to end."""

    def __init__(self, directory: Path, backends: list[Backend]) -> None:
        self.backends = backends
        self._directory = directory
        self._file = directory / "fairlead.json"
        self._log = directory / "fairlead.log"
        self._fairlead: asyncio.subprocess.Process | None = None
        self._client = Client(str(directory))

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(backend.start() for backend in self.backends))
            self._write()
            await self._start_fairlead()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def status(self) -> Status:
        """What Fairlead says of itself."""
        return await asyncio.to_thread(self._client.status)

    async def reload(self) -> ReloadResult:
        """Write the weights as they are now, and have the file read again."""
        self._write()
        return await asyncio.to_thread(self._client.reload)

    def _write(self) -> None:
        backends = [
            {"address": backend.address, "name": backend.name, "weight": backend.weight}
            for backend in self.backends
        ]
        configuration = {
            "admin": {"bind": "127.0.0.1:0"},
            "listeners": {"web": {"bind": "127.0.0.1:0", "pool": "app"}},
            "pools": {"app": {"algorithm": "least_connections", "backends": backends}},
        }
        self._file.write_text(json.dumps(configuration, indent=2), encoding="utf-8")

    async def _start_fairlead(self) -> None:
        ready, ready_fd = os.pipe()
        with self._log.open("wb") as log, os.fdopen(ready, "rb") as line:
            try:
                self._fairlead = await _python(
                    *("fairlead", "run", str(self._file), "--directory", str(self._directory)),
                    *("--ready-fd", str(ready_fd)),
                    keep=ready_fd,
                    stderr=log,
                )
            finally:
                os.close(ready_fd)
            async with asyncio.timeout(_START_SECONDS):
                said = await asyncio.to_thread(line.readline)
        if said != b"ready\n":
            message = f"Fairlead did not start:\n{self._log.read_text(encoding='utf-8')}"
            raise FairleadError(message)

    async def _end(self) -> None:
        if self._fairlead is not None:
            with suppress(ProcessLookupError):
                self._fairlead.terminate()
                # A second one, after a while, ends it at once.
                try:
                    async with asyncio.timeout(_END_SECONDS):
                        await self._fairlead.wait()
                except TimeoutError:
                    self._fairlead.terminate()
                    await self._fairlead.wait()
        await asyncio.gather(*(backend.kill() for backend in self.backends))


async def _python(
    module: str, *arguments: str, stdout: int = DEVNULL, stderr: int | IO[bytes] | None = None, keep: int = -1
) -> asyncio.subprocess.Process:
    """Run a module in a session of its own, so that Ctrl-C reaches the story and nobody else."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module, *arguments),
        stdin=DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=() if keep < 0 else (keep,),
        start_new_session=True,
    )
