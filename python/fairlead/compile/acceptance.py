"""The one way from a file to a description of a Plan that the engine accepts, or to every error in it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from fairlead.compile.certificates import Secrets, certificates, secrets
from fairlead.compile.membership import literal_backends
from fairlead.compile.specification import Json, spec
from fairlead.config import Reading, read
from fairlead.config.reading import uncollected
from fairlead.errors import ConfigurationError, FairleadError, Problem, Step
from fairlead.model import Configuration, SniListener

__all__ = ["Accepted", "Checker", "accept", "engine_check", "load", "problems"]


class Checker(Protocol):
    """The engine's judgement of a description (JSON): what it would refuse, with the model's path of each."""

    def __call__(self, spec_json: str, /) -> list[dict[str, Any]]:
        """Return ``[{"path": ["pools", "app"], "message": "…"}]``, empty if it would be accepted."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A configuration that the engine will take."""

    configuration: Configuration
    spec: Json
    files: tuple[str, ...]
    """Every file it was read from."""
    secrets: Secrets = field(default_factory=dict, repr=False)
    """What the engine needs beside ``spec``, and nobody else may see."""
    secret_files: Mapping[tuple[Step, ...], Path] = field(default_factory=dict)
    """The files that secrets were read from, by the key that each holds."""


def engine_check(spec_json: str, /) -> list[dict[str, Any]]:
    """Ask the native module. It is imported only here, so that the layers above work without it.

    Raises:
        FairleadError: if it is not built.
    """
    try:
        check: Checker = import_module("fairlead._engine").check
    except ImportError as error:
        message = f"the native module cannot be loaded ({error}); `make build` builds it"
        raise FairleadError(message) from None
    return check(spec_json)


def load(
    name: str,
    *,
    version: int = 1,
    environment: Mapping[str, str] | None = None,
    check: Checker = engine_check,
) -> Accepted:
    """Read a file, compile it and have the engine judge it.

    Raises:
        ConfigurationError: with every error of the file, the engine's too.
    """
    with uncollected():
        reading = read(name, os.environ if environment is None else environment)
        description, found = problems(reading, version=version, check=check)
        if found or reading.model is None or description is None:
            raise ConfigurationError(found)
        secret_files = reading.secret_files
        return Accepted(reading.model, description, reading.files, secrets(reading.model), secret_files)


def accept(configuration: Configuration, *, version: int = 1, check: Checker = engine_check) -> Accepted:
    """Compile a configuration that no file holds, and have the engine judge it.

    Raises:
        ConfigurationError: with every error that the engine found.
    """
    description = spec(configuration, version=version)
    found = [Problem(tuple(each["path"]), each["message"]) for each in check(_json(description))]
    found += [Problem(path, message) for path, message in certificates(configuration)[1]]
    if found:
        raise ConfigurationError(found)
    return Accepted(configuration, description, (), secrets(configuration))


def problems(
    reading: Reading, *, version: int = 1, check: Checker = engine_check
) -> tuple[Json | None, tuple[Problem, ...]]:
    """The description of what was read, if it can be made, and every error: the loader's and the engine's."""
    if reading.model is None:
        return None, reading.problems
    description = spec(reading.model, version=version)
    found: list[tuple[tuple[Step, ...], str]] = [
        (_as_written(reading.model, each["path"]), each["message"]) for each in check(_json(description))
    ]
    found += certificates(reading.model)[1]
    return description, reading.merged(reading.locate(found))


def _as_written(configuration: Configuration, path: Sequence[str]) -> tuple[str, ...]:
    """The engine's path as the model's.

    It counts only literal backends, since names come to it later, and knows a listener's names as its routes.
    """
    match path:
        case ["listeners", name, "routes", index, *_] if isinstance(
            listener := configuration.listeners.get(name), SniListener
        ):
            return ("listeners", name, "sni", tuple(listener.sni)[int(index)])
        case ["pools", name, "backends", index, *rest] if name in configuration.pools and index.isdigit():
            literal = literal_backends(configuration.pools[name])
            if int(index) < len(literal):
                return ("pools", name, "backends", str(literal[int(index)]), *rest)
    return tuple(path)


def _json(description: Json) -> str:
    return json.dumps(description, separators=(",", ":"))
