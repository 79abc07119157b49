"""Processes and all that they started, wherever these went: known by a mark in their environment.

A process leaves its group and its session as it likes, and its parent may be gone; what it was given as its
environment it hands on to all that it starts. Without root, that is what Linux leaves to know them by.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

__all__ = ["end"]

_ROUNDS = 10
"""Looks for what was started meanwhile; who starts faster than that is left to the next timeout."""


def end(mark: str) -> None:
    """Kill every process whose environment holds ``mark``, as ``NAME=value``."""
    sought = mark.encode()
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = [pid for pid in _processes() if pid not in killed and _holds(pid, sought)]
        if not found:
            return
        for pid in found:
            _kill(pid, sought)
        killed.update(found)


def _processes() -> Iterator[int]:
    own = os.getpid()
    with os.scandir("/proc") as entries:
        yield from (pid for each in entries if each.name.isdecimal() and (pid := int(each.name)) != own)


def _holds(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        # Gone, or somebody else's.
        return False


def _kill(pid: int, mark: bytes) -> None:
    """By a descriptor, and looked at once more: its number may have become another's."""
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            if _holds(pid, mark):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)
