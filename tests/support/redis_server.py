"""A Redis of the test's own: started, killed, started again on its port."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = os.environ.get("FAIRLEAD_REDIS", "redis-server")


@dataclass
class RedisServer:
    """It keeps nothing: started again, it has forgotten everything."""

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
        self.process = await _start(self.directory, self.port)


@contextlib.asynccontextmanager
async def redis_server(directory: Path) -> AsyncIterator[RedisServer]:
    """Start one; without the program the test is skipped, except in CI."""
    if shutil.which(PROGRAM) is None:
        message = "redis-server is missing: apt-get install redis-server"
        if os.environ.get("CI"):
            raise AssertionError(message)
        pytest.skip(message)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = RedisServer(directory, port, await _start(directory, port))
    try:
        yield server
    finally:
        if server.process.returncode is None:
            await server.kill()


async def _start(directory: Path, port: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)),
        *("--save", "", "--appendonly", "no"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while b"Ready to accept connections" not in (line := await process.stdout.readline()):
            assert line, "redis-server ended before it was ready"
    return process
