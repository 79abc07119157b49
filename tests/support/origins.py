"""Origins as processes of their own, so that they can be killed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from support import load


@dataclass
class OriginProcess:
    """An origin that can be killed and started again on its address."""

    name: str
    address: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """SIGKILL, as a machine that dies."""
        self.process.kill()
        await self.process.wait()

    async def restart(self) -> None:
        """The same again, on the same address."""
        self.process, self.address = await _spawn(self.name, self.address)


async def _spawn(name: str, bind: str) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        str(load.program()), "origin", bind, "--name", name, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    return process, line.decode().split()[1]


@contextlib.asynccontextmanager
async def origins(*names: str) -> AsyncIterator[list[OriginProcess]]:
    """One for each name; each says it in `X-Backend`."""
    started: list[OriginProcess] = []
    try:
        for name in names:
            process, address = await _spawn(name, "127.0.0.1:0")
            started.append(OriginProcess(name, address, process))
        yield started
    finally:
        for origin in started:
            if origin.process.returncode is None:
                await origin.kill()
