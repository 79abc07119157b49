"""One run of a program that checks a backend: bounded in time and output, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import signal
import subprocess
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from fairlead.control import descent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["MARK", "PATH", "Outcome", "run"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for; of our own environment they get nothing."""

MARK = "FAIRLEAD_CHECK"
"""Names a run in the environment of all that it starts."""

_MOST_OUTPUT = 1024
_LONGEST_REASON = 200
_READS = 4
"""Full pipes that are taken in one turn of the loop."""

_runs = count(1)

_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}
"""Of descriptors, processes or memory: ours, and no word about a backend."""

_ADVICE = {
    errno.ENOENT: "it or its interpreter is missing",
    errno.EACCES: "it has to be a file that may be executed",
    errno.ENOEXEC: "a script begins with a line such as #!/bin/sh",
    errno.E2BIG: "give it less in `command`",
    errno.ELOOP: "a symbolic link leads back to itself",
}
"""What to look for where the system's own words leave one wondering."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program said of a backend."""

    good: bool
    reason: str
    seconds: float


async def run(
    command: Sequence[str], about: Mapping[str, str], *, seconds: float, user: str | None
) -> Outcome | None:
    """Run a program to its end or until its time is over.

    Args:
        command: The program and its arguments.
        about: What it is told of the backend, as its environment.
        seconds: How long it may take; then it and all that it started are killed.
        user: Whom it runs as, if that isn't us.

    Returns:
        What it said; ``None`` if we were short of something and could not run it.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()

    def outcome(reason: str, *, good: bool = False) -> Outcome:
        return Outcome(good, reason, loop.time() - begun)

    mark = f"{os.getpid()}.{next(_runs)}"
    with _Output() as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=output.write,
                stderr=subprocess.DEVNULL,
                env={"PATH": PATH, **about, MARK: mark},
                cwd="/",
                start_new_session=True,  # a group of its own, to be ended as a whole
                **_identity(user),
            )
        except OSError as error:
            return None if error.errno in _SHORTAGES else outcome(_cannot_run(command[0], error))
        output.begin()
        try:
            async with asyncio.timeout(seconds):
                code = await process.wait()
        except TimeoutError:
            return outcome(f"no result within {seconds:g}s")
        finally:
            await _end(process, mark)
        return outcome(output.first_line() or _ended(code), good=code == 0)


async def _end(process: asyncio.subprocess.Process, mark: str) -> None:
    """What it started goes with it; the first one may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        # It was not done. Looking at all processes takes longer than a turn of the loop may.
        await asyncio.to_thread(descent.end, f"{MARK}={mark}")
        await process.wait()


class _Output:
    """The first of what a program writes; the rest is taken and forgotten, so that it can go on.

    Not a pipe of asyncio's: that would be waited for until its last writer is gone, whoever that is.
    """

    def __enter__(self) -> Self:
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        self._text = b""
        self._loop = asyncio.get_running_loop()
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._loop.remove_reader(self._read)
        os.close(self._read)

    def begin(self) -> None:
        """The program has its end of it."""
        self._end()
        self._loop.add_reader(self._read, self._take)

    def first_line(self) -> str:
        """What is shown of it."""
        self._take()
        line = self._text.lstrip().partition(b"\n")[0].decode(errors="replace")
        return "".join(_visible(line)).strip()[:_LONGEST_REASON]

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            # One that writes as fast as we read must not keep the loop to itself.
            for _ in range(_READS):
                some = os.read(self._read, 64 * 1024)
                if not some:
                    self._loop.remove_reader(self._read)
                    return
                self._text += some[: _MOST_OUTPUT - len(self._text)]

    def _end(self) -> None:
        if self._open:
            os.close(self.write)
            self._open = False


def _visible(line: str) -> Iterator[str]:
    return (character if character.isprintable() else " " for character in line)


def _cannot_run(program: str, error: OSError) -> str:
    advice = _ADVICE.get(error.errno or 0)
    return f"cannot run {program}: {error.strerror}" + (f" ({advice})" if advice else "")


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _identity(user: str | None) -> dict[str, Any]:
    """Who it runs as; only root can be somebody else."""
    if user is None or os.getuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
