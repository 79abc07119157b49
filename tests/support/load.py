"""The load generator of the benchmarks as a source of traffic: each failed request is counted and named."""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(os.environ.get("FAIRLEAD_LOAD", ROOT / "target" / "release" / "fairlead-load"))


def program() -> Path:
    """Where it is; without it the test is skipped, except in CI."""
    if PROGRAM.exists():
        return PROGRAM
    message = "the load generator is missing: cargo build --release -p fairlead-load"
    if os.environ.get("CI"):
        raise AssertionError(message)
    return pytest.skip(message)


@dataclass
class Load:
    """A run in the background."""

    process: asyncio.subprocess.Process

    async def report(self) -> dict[str, Any]:
        """What it says at its end."""
        printed, _ = await self.process.communicate()
        assert self.process.returncode == 0
        found: dict[str, Any] = json.loads(printed)
        return found


async def start(address: str, *arguments: str) -> Load:
    """Start it against an address."""
    process = await asyncio.create_subprocess_exec(
        str(program()), "load", address, *arguments, stdout=asyncio.subprocess.PIPE
    )
    return Load(process)


async def run(address: str, *arguments: str) -> dict[str, Any]:
    """Run it to its end."""
    return await (await start(address, *arguments)).report()
