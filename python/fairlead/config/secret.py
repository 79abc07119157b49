"""Secrets in files of their own: ``token_file: ops.token`` becomes ``token`` with what the file holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fairlead.config.wording import Finding
from fairlead.errors import Step
from fairlead.model.configuration import Configuration
from fairlead.model.definition import Definition
from fairlead.model.shape import Spot, has_secrets, secret_keys, spot

__all__ = ["LARGEST_SECRET", "fill"]

LARGEST_SECRET = 64 * 1024
"""Bytes of a secret's file; what is larger is another file, named by mistake."""

LARGEST_AUTHORITIES = 4 * 1024 * 1024
"""The same of the certificates of authorities, of which a system has a few hundred."""

_STAND_IN = "unreadable" * 4
"""Takes a secret's place beside the error about its file, so that its absence is no second one."""

Directory = Callable[[tuple[Step, ...]], Path]


class _Places(NamedTuple):
    directory: Directory
    files: dict[tuple[Step, ...], Path]


def fill(
    data: dict[str, Any], directory: Directory, files: dict[tuple[Step, ...], Path] | None = None
) -> Iterator[Finding]:
    """Read every file that is named for a secret, in place; ``directory`` of a key is where paths begin.

    ``files`` is told which file each secret came from.
    """
    places = _Places(directory, {} if files is None else files)
    yield from _fill(Configuration, data, (), places)


def _fill(
    definition: type[Definition], data: dict[str, Any], path: tuple[Step, ...], places: _Places
) -> Iterator[Finding]:
    for key in secret_keys(definition):
        file_key = f"{key}_file"
        if file_key not in data:
            continue
        name = data.pop(file_key)
        below = (*path, file_key)
        if key in data:
            yield Finding(below, f"stands beside {key}, and only one of them may", with_key=True)
        elif not isinstance(name, str):
            yield Finding(below, "the path of a file is expected")
        else:
            try:
                file = places.files[*path, key] = places.directory(below) / name
                data[key] = _read(file, LARGEST_AUTHORITIES if key == "ca" else LARGEST_SECRET)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                data[key] = _STAND_IN
                yield Finding(below, f"cannot read {name}: {reason}")
    for key, field in definition.model_fields.items():
        # One more level: maps of named things.
        value = data.get(key)
        if isinstance(value, dict):
            yield from _below(Spot(field.annotation), value, (*path, key), places)


def _below(at: Spot, data: dict[str, Any], path: tuple[Step, ...], places: _Places) -> Iterator[Finding]:
    if at.definitions:
        for definition in at.definitions:
            if has_secrets(definition):
                yield from _fill(definition, data, path, places)
        return
    item = spot((*path, ""))
    for name, value in data.items() if item and any(has_secrets(each) for each in item.definitions) else ():
        if item and isinstance(value, dict):
            yield from _below(item, value, (*path, name), places)


def _read(path: Path, largest: int) -> str:
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        message = "it is too large for a secret"
        raise ValueError(message)
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        message = "it is no UTF-8 text"
        raise ValueError(message) from None
    if not text:
        message = "it is empty"
        raise ValueError(message)
    return text
