"""PostgreSQL servers of the test's own: the same data in each; stopped or killed, and started again."""

import asyncio
import contextlib
import os
import pwd
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from support.program import EndedError, installed, on_a_free_port, until_it_answers

_FOLDERS = "lib/postgresql/*/bin"  # where Debian has them, by version
_ATTEMPTS = 5
USER = "fairlead"
FACTS = 1000
"""Rows of the table `facts`: `id` from 1, `value` twice that."""


def isready() -> str:
    """The program that asks whether a server takes queries; while it starts or stops it says no."""
    return installed("pg_isready", "postgresql", _FOLDERS)


def _user() -> dict[str, Any]:
    """It refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


async def connect(port: int) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """A client's connection; each statement is a transaction."""
    return await psycopg.AsyncConnection.connect(
        host="127.0.0.1",
        port=port,
        user=USER,
        dbname="postgres",
        sslmode="disable",
        gssencmode="disable",
        autocommit=True,
    )


@dataclass
class Postgres:
    """One of them, read only. It tells its name: `SHOW cluster_name`."""

    name: str
    data: Path
    port: int = 0
    process: asyncio.subprocess.Process = field(init=False)

    async def start(self) -> None:
        """Start it, again on its port if it had one; it answers queries then."""
        if self.port == 0:
            return await on_a_free_port(self._start)
        for _ in range(_ATTEMPTS):
            # After a crash it refuses for as long as one of its old processes is still ending.
            with contextlib.suppress(EndedError):
                await self._start(self.port)
                return None
        message = f"{self.name} does not start again: {(self.data / 'log').read_text()[-2000:]}"
        raise AssertionError(message)

    async def stop(self) -> None:
        """In order: statements that run are broken off, and it ends."""
        self.process.send_signal(signal.SIGINT)
        assert await self.process.wait() == 0

    async def kill(self) -> None:
        """As a machine that dies: from now on nobody listens there."""
        children = _children(self.process.pid)
        self.process.kill()
        await self.process.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    async def _start(self, port: int) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "cluster_name": self.name,
            "default_transaction_read_only": "on",
            "autovacuum": "off",
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        with (self.data / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(installed("postgres", "postgresql", _FOLDERS), "-D", str(self.data), "-p", str(port)),
                *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
                stdout=log,
                stderr=log,
                **_user(),
            )
        self.port = port
        await until_it_answers(self.process, self._answers)

    async def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            async with await connect(self.port):
                return True
        return False


@contextlib.asynccontextmanager
async def servers(*names: str) -> AsyncIterator[list[Postgres]]:
    """Some of them with the same data."""
    # Not below pytest's folder, which is the test's user's alone.
    with tempfile.TemporaryDirectory(prefix="fairlead-postgres-") as folder:
        user = _user()
        if user:
            os.chown(folder, user["user"], user["group"])
        first = Path(folder) / names[0]
        await _initialise(first)
        for name in names[1:]:
            await _run("cp", "-a", str(first), str(Path(folder) / name))
        started = [Postgres(name, Path(folder) / name) for name in names]
        try:
            for server in started:
                await server.start()
            yield started
        finally:
            for server in started:
                if server.port and server.process.returncode is None:
                    await server.kill()


async def _initialise(data: Path) -> None:
    initdb = installed("initdb", "postgresql", _FOLDERS)
    options = ("-U", USER, "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync", "--no-instructions")
    await _run(initdb, "-D", str(data), *options)
    table = f"CREATE TABLE facts AS SELECT id, id * 2 AS value FROM generate_series(1, {FACTS}) AS id;\n"  # noqa: S608
    postgres = installed("postgres", "postgresql", _FOLDERS)
    await _run(postgres, "--single", "-F", "-D", str(data), "postgres", words=table.encode())


async def _run(*command: str, words: bytes = b"") -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
        **_user(),
    )
    printed, _ = await process.communicate(words)
    assert process.returncode == 0, printed.decode()


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
