"""The files of one configuration, as one: their data merged, and where each thing of it is written."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from fairlead.config import json_syntax, toml_syntax, yaml_syntax
from fairlead.config.content import Content, node_place
from fairlead.config.node import MappingNode, Node, SequenceNode
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

    def place(self, path: tuple[Step, ...]) -> Place | None:
        """Where a path is written, or what is nearest above it."""
        if not self.roots:
            return None
        file, root = self.roots[self.owner(path)]
        node: Node = root
        at: Node = root
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            at, node = found
        # A scalar is where its text is; a mapping or list is where its key is.
        return node_place(file, at if isinstance(node, (MappingNode, SequenceNode)) else node)

    def key_place(self, path: tuple[Step, ...]) -> Place | None:
        """Where the key of a path is written."""
        file, root = self.roots[self.owner(path)]
        node: Node = root
        at: Node = root
        for step in path:
            found = _child(node, step)
            if found is None:
                return self.place(path)
            at, node = found
        return node_place(file, at)

    def owner(self, path: tuple[Step, ...]) -> int:
        """The file in which a path is written, the main one if it is in none."""
        texts = tuple(str(step) for step in path[:2])
        return self.owners.get(texts, self.owners.get(texts[:1], 0))


def _child(node: Node, step: Step) -> tuple[Node, Node] | None:
    """Key and value below a node; an item of a list is its own key."""
    if isinstance(node, MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


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
    first = documents.key_place(path)
    file, root = documents.roots[index]
    node: Node = root
    at: Node = root
    for step in path:
        at, node = _child(node, step) or (at, node)
    message = f'"{path[-1]}" is written twice, first at {first}'
    documents.problems.append(Problem(path, message, node_place(file, at)))


def _include(
    documents: Documents, patterns: object, environment: Mapping[str, str], above: tuple[str, ...]
) -> None:
    file, root = documents.roots[-1]
    listed = patterns if isinstance(patterns, list) else [patterns]
    for index, pattern in enumerate(listed):
        if not isinstance(pattern, str) or not pattern:
            continue  # the model says so
        found = _child(root, "include")
        node = found[1] if found else root
        node = node.value[index] if isinstance(node, SequenceNode) else node
        cause = node_place(file, node)
        names = sorted(glob.glob(str(PurePath(file).parent / pattern), recursive=True))  # noqa: PTH207  (absolute patterns too)
        if not names and not glob.has_magic(pattern):
            documents.problems.append(Problem(("include",), f"there is no file {pattern}", cause))
        for name in names:
            if os.path.realpath(name) in above:
                message = f"{name} includes itself: {' → '.join((*above, os.path.realpath(name)))}"
                documents.problems.append(Problem(("include",), message, cause))
            else:
                _add(documents, name, environment, above, cause)
