"""One control process for each directory.

An advisory lock that the kernel gives back when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fairlead.control.errors import AlreadyRunning

if TYPE_CHECKING:
    from types import TracebackType

FILE = "control.lock"


class DirectoryLock:
    """Held for the life of a control process.

    The file names its process and stays (removing it would race).
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        descriptor = os.open(self._directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning(str(self._directory), holder(self._directory)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder(directory: str | Path) -> int | None:
    """The process that wrote itself into the lock file last, if it wrote one.

    Whether it lives only the lock knows.
    """
    try:
        text = (Path(directory) / FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None
