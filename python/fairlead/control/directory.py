"""Where an instance keeps its sockets.

``runtime.directory``, else ``/run/fairlead``, else ``$XDG_RUNTIME_DIR/fairlead``.
"""

from __future__ import annotations

import os
from pathlib import Path

from fairlead.errors import FairleadError

ADMIN_SOCKET = "admin.sock"
SYSTEM = Path("/run/fairlead")

_LONGEST_NAME = len("control.sock")
_LONGEST_SOCKET_PATH = 107
"""Bytes that `sockaddr_un` has for a path, its final zero aside (unix(7))."""


def defaults() -> tuple[Path, ...]:
    """The directories to look into when none is given, in order."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    return (SYSTEM, Path(own) / "fairlead") if own else (SYSTEM,)


def default() -> Path:
    """The first of the default directories that we can write into, or make."""
    for directory in defaults():
        if os.access(directory if directory.exists() else directory.parent, os.W_OK | os.X_OK):
            return directory
    places = " or ".join(str(directory) for directory in defaults())
    message = f"cannot write into {places}: give a directory with runtime.directory or --directory"
    raise FairleadError(message)


def prepare(directory: Path) -> Path:
    """Make the directory if need be, and return its full path."""
    directory = directory.absolute()
    if len(os.fsencode(directory)) + 1 + _LONGEST_NAME > _LONGEST_SOCKET_PATH:
        message = f"{directory} is too long a directory for Unix sockets: give a shorter one"
        raise FairleadError(message)
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the directory {directory}: {error.strerror}"
        raise FairleadError(message) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        message = f"cannot write into the directory {directory}"
        raise FairleadError(message)
    return directory
