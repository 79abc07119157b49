"""The files of one configuration, as one: their data merged, and where each thing of it is written."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from fairlead.config import json_syntax, toml_syntax, yaml_syntax
from fairlead.config.content import Content, node_place
from fairlead.config.node import MappingNode, Node, ScalarNode, SequenceNode
from fairlead.config.source import Refused, read_source
from fairlead.errors import Place, Problem, Step

__all__ = ["Documents", "gather"]

NAMED = frozenset(
    {"listeners", "pools", "certificates", "cache_zones", "dns_zones"},
)
"""Maps of named things: files add to them. Every other key is whole in one file."""

_SYNTAX = {"yaml": yaml_syntax.compose, "json": json_syntax.compose, "toml": toml_syntax.compose}


@dataclass(slots=True)
class Documents:
    """What was read, in order: the main file first, then what it includes."""

    files: list[str] = field(default_factory=list)
    data: dict[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    roots: list[tuple[str, MappingNode]] = field(default_factory=list)
    owners: dict[tuple[str, ...], int] = field(default_factory=dict)
    """The index in ``roots`` of each top-level key, and of each name below a map of names."""
    _keys: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict)
    """The keys of each mapping that a place was looked for in; made then, since most files have no error."""

    def place(self, path: tuple[Step, ...]) -> Place | None:
        """Where a path is written, or what is nearest above it."""
        return self.place_in(self.owner(path), path) if self.roots else None

    def place_in(self, index: int, path: tuple[Step, ...]) -> Place:
        """Where a path is written in one of the files, or what is nearest above it."""
        file, root = self.roots[index]
        key, value = self._walk(root, path)
        # A scalar is where its text is; a mapping or list is where its key is.
        return node_place(file, key if isinstance(value, (MappingNode, SequenceNode)) else value)

    def key_place(self, path: tuple[Step, ...]) -> Place | None:
        """Where the key of a path is written."""
        return self.key_place_in(self.owner(path), path) if self.roots else None

    def key_place_in(self, index: int, path: tuple[Step, ...]) -> Place:
        """Where the key of a path is written in one of the files."""
        file, root = self.roots[index]
        return node_place(file, self._walk(root, path)[0])

    def order(self, place: Place | None) -> tuple[int, int, int]:
        """What to sort places by: the files in the order in which they were read."""
        if place is None:
            return (-1, 0, 0)
        known = place.file in self.files
        return (self.files.index(place.file) if known else -1, place.line, place.column)

    def _walk(self, root: Node, path: tuple[Step, ...]) -> tuple[Node, Node]:
        """Key and value at the end of a path, or as far as it is written."""
        key: Node = root
        value: Node = root
        for step in path:
            found = self._child(value, step)
            if found is None:
                return key, value
            key, value = found
        return key, value

    def _child(self, node: Node, step: Step) -> tuple[Node, Node] | None:
        """Key and value below a node; an item of a list is its own key."""
        if isinstance(node, MappingNode) and isinstance(step, str):
            keys = self._keys.get(id(node))
            if keys is None:
                # In reverse, so that of a key that is written twice the first counts.
                keys = self._keys[id(node)] = {
                    key.value: (key, value)
                    for key, value in reversed(node.value)
                    if isinstance(key, ScalarNode)
                }
            return keys.get(step)
        if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            return node.value[step], node.value[step]
        return None

    def owner(self, path: tuple[Step, ...]) -> int:
        """The file in which a path is written, the main one if it is in none."""
        texts = tuple(str(step) for step in path[:2])
        return self.owners.get(texts, self.owners.get(texts[:1], 0))


def gather(name: str, environment: Mapping[str, str]) -> Documents:
    """Read a file and all that it includes. Errors are in ``problems``, those of unreadable files too."""
    documents = Documents()
    _add(documents, name, environment)
    return documents


def _add(
    documents: Documents,
    name: str,
    environment: Mapping[str, str],
    above: tuple[str, ...] = (),
    cause: Place | None = None,
) -> None:
    documents.files.append(name)
    try:
        source = read_source(name, cause)
        root = _SYNTAX[source.syntax](source)
    except Refused as refused:
        documents.problems.append(refused.problem)
        return
    if root is None:
        if not above:  # an empty file in conf.d is no mistake
            documents.problems.append(Problem((), "is empty", Place(name, 1, 1)))
        return
    content = Content(name, environment)
    data = content.read(root)
    documents.problems += content.problems
    if not isinstance(root, MappingNode):
        return
    documents.roots.append((name, root))
    patterns = data.pop("include", None)
    if not above and patterns is not None:
        documents.data["include"] = patterns
        documents.owners["include",] = 0
    _merge(documents, data)
    if patterns is not None:
        _include(documents, patterns, environment, (*above, os.path.realpath(name)))


def _merge(documents: Documents, data: dict[str, object]) -> None:
    index = len(documents.roots) - 1
    for key, value in data.items():
        merged = documents.data.get(key)
        if key not in documents.data:
            documents.owners[key,] = index
            documents.data[key] = dict(value) if isinstance(value, dict) and key in NAMED else value
            if isinstance(value, dict):
                documents.owners.update({(key, name): index for name in value})
        elif key in NAMED and isinstance(merged, dict) and isinstance(value, dict):
            for name, each in value.items():
                if name in merged:
                    _twice(documents, index, (key, name))
                else:
                    merged[name] = each
                    documents.owners[key, name] = index
        else:
            _twice(documents, index, (key,))


def _twice(documents: Documents, index: int, path: tuple[str, ...]) -> None:
    message = f'"{path[-1]}" is written twice, first at {documents.key_place(path)}'
    documents.problems.append(Problem(path, message, documents.key_place_in(index, path)))


def _include(
    documents: Documents, patterns: object, environment: Mapping[str, str], above: tuple[str, ...]
) -> None:
    including = len(documents.roots) - 1
    file, _ = documents.roots[including]
    listed = patterns if isinstance(patterns, list) else [patterns]
    for index, pattern in enumerate(listed):
        if not isinstance(pattern, str) or not pattern:
            continue  # the model says so
        item = ("include", index) if isinstance(patterns, list) else ("include",)
        cause = documents.place_in(including, item)
        # Not Path.glob, which refuses absolute patterns.
        names = sorted(glob.glob(str(PurePath(file).parent / pattern), recursive=True))  # noqa: PTH207
        if not names and not glob.has_magic(pattern):
            documents.problems.append(Problem(("include",), f"there is no file {pattern}", cause))
        for name in names:
            if os.path.realpath(name) in above:
                message = f"{name} includes itself: {' → '.join((*above, os.path.realpath(name)))}"
                documents.problems.append(Problem(("include",), message, cause))
            else:
                _add(documents, name, environment, above, cause)
