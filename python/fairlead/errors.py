"""Every error Fairlead raises on purpose, and whose fault each one is.

::

    FairleadError                      exit code 1: something failed while running
    ├── NotFound                       exit code 1: nothing has the name that was given
    ├── UsageError                     exit code 2: the command line asks for what cannot be
    └── ConfigurationError             exit code 2: the configuration is refused, with every problem found
    UnitError (ValueError)             a text is no duration, size, rate or share; becomes a Problem

A layer that needs a finer error derives it from one of these, beside the code that raises it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "ConfigurationError",
    "FairleadError",
    "NotFound",
    "Place",
    "Problem",
    "UnitError",
    "UsageError",
    "dotted",
]

Step = str | int
"""One step of a path through the configuration: a key or the index of a list."""


class FairleadError(Exception):
    """Anything that Fairlead refuses or fails to do."""

    exit_code: ClassVar[int] = 1


class NotFound(FairleadError):  # noqa: N818 - the condition is its name
    """Nothing has the name that was given; the message says which is near."""


class UsageError(FairleadError):
    """The command line cannot be followed."""

    exit_code: ClassVar[int] = 2


class UnitError(ValueError):
    """A text is not the quantity it should be; the message says what to write."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is written. Lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration, and where."""

    path: tuple[Step, ...]
    message: str
    place: Place | None = None

    def __str__(self) -> str:
        parts = [str(self.place) if self.place else "", dotted(self.path), self.message]
        return ": ".join(part for part in parts if part)


class ConfigurationError(FairleadError):
    """The configuration is refused. It holds every problem that was found, sorted by place."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: Sequence[Step]) -> str:
    """``("listeners", "web", "routes", 0)`` as ``listeners.web.routes[0]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
