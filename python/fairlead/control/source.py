"""Where the configuration comes from: a file, or whatever else can be read again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from fairlead.compile import Accepted, secrets
from fairlead.compile import problems as problems_of
from fairlead.config import read
from fairlead.config.reading import uncollected
from fairlead.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.config import Reading


class Source(Protocol):
    """Where the configuration comes from, each time that it is read."""

    name: str
    """As the operator wrote it."""

    def read(self) -> Accepted:
        """Read and check it; raises `ConfigurationError`. May take a while: called in a thread."""

    def forget(self) -> None:
        """Let go of what is only needed to say where problems stand."""

    def place(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Say where the problems that the engine found stand in what was read last."""


class FileSource:
    """A configuration file, with all that it includes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._reading: Reading | None = None

    def read(self) -> Accepted:
        """See `Source.read`."""
        with uncollected():
            reading = read(self.name, os.environ)
            spec, found = problems_of(reading)
        if found or reading.model is None or spec is None:
            raise ConfigurationError(found)
        self._reading = reading
        return Accepted(reading.model, spec, reading.files, secrets(reading.model), reading.secret_files)

    def forget(self) -> None:
        """See `Source.forget`: the trees of a large file take a few hundred megabytes."""
        self._reading = None

    def place(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """See `Source.place`."""
        found = tuple(problems)
        if self._reading is None:
            return found
        return tuple(self._reading.locate((problem.path, problem.message) for problem in found))
