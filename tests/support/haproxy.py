"""HAProxy as a neighbour: before Fairlead, or behind it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from support.program import installed

_COMMON = """\
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
"""


@contextlib.asynccontextmanager
async def haproxy(folder: Path, front: str, back: str) -> AsyncIterator[str]:
    """One that takes connections as `front` says (words after the address) and passes them on to `back`.

    Yields its address. Without HAProxy the test is skipped, except in CI.
    """
    program = installed("haproxy", "haproxy", "sbin")
    # HAProxy takes over a socket that listens already: no port is guessed.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        port = listening.getsockname()[1]
        file = folder / f"haproxy-{port}.cfg"
        file.write_text(
            f"{_COMMON}frontend f\n  bind fd@{listening.fileno()} {front}\n  default_backend b\n"
            f"backend b\n  server s {back}\n"
        )
        process = await asyncio.create_subprocess_exec(
            program,
            *("-db", "-f", str(file)),
            pass_fds=(listening.fileno(),),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()
