"""Servers that aren't ours and that a test starts itself: from the system, on a port that nobody has."""

import asyncio
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

READY_SECONDS = 60.0
_ATTEMPTS = 5
_Started = TypeVar("_Started")


class EndedError(Exception):
    """It ended before it was ready: somebody else may have taken its port."""


def installed(name: str, package: str, folders: str = "") -> str:
    """Where a program is, in `folders` (a pattern below /usr) or on PATH.

    Without it the test is skipped, except in CI.
    """
    newest = sorted(Path("/usr").glob(f"{folders}/{name}"), reverse=True) if folders else []
    found = str(newest[0]) if newest else shutil.which(name)
    if found is None:
        message = f"{name} is missing: apt-get install {package}"
        if os.environ.get("CI"):
            raise AssertionError(message)
        pytest.skip(message)
    return found


async def on_a_free_port(start: Callable[[int], Awaitable[_Started]]) -> _Started:
    """Start a server that has to be told its port. Between the look and the start somebody may take it."""
    for _ in range(_ATTEMPTS):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        try:
            return await start(port)
        except EndedError:
            continue
    message = f"it ended {_ATTEMPTS} times before it was ready"
    raise AssertionError(message)


async def until_it_answers(process: asyncio.subprocess.Process, ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask a server again and again until it answers."""
    async with asyncio.timeout(READY_SECONDS):
        while not await ask():
            if process.returncode is not None:
                raise EndedError
