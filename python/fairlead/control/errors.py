"""What can go wrong between control and engine.

::

    FairleadError
    ├── AlreadyRunning       another control process lives on the directory
    ├── EngineMismatch       an engine of another version serves on it
    ├── SettingsDiffer       an engine with other `runtime` or `admin` settings serves on it
    ├── EngineLost           the engine ended, or the connection to it
    ├── EngineFault          the engine broke its word; a defect of ours
    └── Refused              the engine can't serve a configuration; it serves the one before
        ├── PlanRefused      something it needs can't be had: an address is taken
        └── NeedsRestart     it is fine for a new engine process, not for this one
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from fairlead.errors import FairleadError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable


class AlreadyRunning(FairleadError):  # noqa: N818 - the condition is its name
    """Another control process lives on this directory."""

    def __init__(self, directory: str, pid: int | None) -> None:
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{who} already runs Fairlead on {directory}; stop it first, or give this one another directory "
            "(runtime.directory or --directory)"
        )


class EngineMismatch(FairleadError):  # noqa: N818
    """An engine of another version serves on this directory."""

    def __init__(self, pid: int, *, theirs: str, ours: str) -> None:
        self.pid = pid
        super().__init__(
            f"an engine of Fairlead {theirs} (process {pid}) serves on this directory and this is {ours}: "
            f"stop it first (kill {pid} drains it), then start again"
        )


class SettingsDiffer(FairleadError):  # noqa: N818
    """An engine with other settings serves on this directory."""

    def __init__(self, pid: int, keys: Iterable[str]) -> None:
        self.pid = pid
        super().__init__(
            f"the engine process {pid} that serves on this directory was started with other settings "
            f"({', '.join(keys)}), whose change needs a restart: stop it first (kill {pid} drains it), or "
            "restore them"
        )


class EngineLost(FairleadError):  # noqa: N818
    """The engine process ended, or the connection to it."""

    def __init__(self, message: str = "there is no connection to the engine process") -> None:
        super().__init__(message)


class EngineFault(FairleadError):  # noqa: N818
    """The engine sent what it must not send."""


class Refused(FairleadError):  # noqa: N818
    """The engine can't serve a configuration; the one before goes on.

    What is wrong with the text was found before, by the engine's own check: the world is in the way.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PlanRefused(Refused):
    """Something that the configuration needs can't be had."""


class NeedsRestart(Refused):
    """The configuration needs what this engine process no longer has, or can't change while it lives."""


def refusal(document: dict[str, object]) -> EngineFault | Refused:
    """The exception for an ``error`` of the engine."""
    errors = document.get("errors")
    problems = [
        Problem(tuple(_step(step) for step in one.get("path") or ()), one["message"])
        for one in (errors if isinstance(errors, list) else [])
    ]
    match document.get("kind"):
        case "refused":
            return PlanRefused(problems)
        case "restart_needed":
            return NeedsRestart(problems)
        case kind:
            return EngineFault("; ".join(str(one) for one in problems) or f"the engine answered {kind}")


def describe_exit(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "no exit code: it was adopted, and only who started it is told"
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _step(text: str) -> str | int:
    """A step of the engine's path; it writes the index of a list as digits."""
    return int(text) if text.isdecimal() else text
