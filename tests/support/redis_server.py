"""A Redis of the test's own: started, killed, started again on its port."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from support.program import EndedError, installed, on_a_free_port

PROGRAM = os.environ.get("FAIRLEAD_REDIS", "redis-server")


@dataclass
class RedisServer:
    """It keeps nothing by itself: started again, it knows what was saved, or has forgotten everything."""

    directory: Path
    port: int
    process: asyncio.subprocess.Process

    @property
    def address(self) -> str:
        """As a configuration names it."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def kill(self) -> None:
        """SIGKILL, as a machine that dies."""
        self.process.kill()
        await self.process.wait()

    async def restart(self) -> None:
        """The same again, on the same port."""
        self.process = (await _start(self.directory, self.port)).process


@contextlib.asynccontextmanager
async def redis_server(directory: Path) -> AsyncIterator[RedisServer]:
    """Start one; without the program the test is skipped, except in CI."""
    server = await on_a_free_port(lambda port: _start(directory, port))
    try:
        yield server
    finally:
        if server.process.returncode is None:
            await server.kill()


async def _start(directory: Path, port: int) -> RedisServer:
    process = await asyncio.create_subprocess_exec(
        installed(PROGRAM, "redis-server"),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)),
        *("--save", "", "--appendonly", "no"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while b"Ready to accept connections" not in (line := await process.stdout.readline()):
            if not line:
                raise EndedError
    return RedisServer(directory, port, process)
