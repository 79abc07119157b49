"""YAML text to nodes, by the core schema of YAML 1.2 (10.3.2): ``NO`` is text, octal is ``0o17``."""

import contextlib
import re
from typing import Any

from yaml import SafeLoader as PythonLoader
from yaml import YAMLError
from yaml.error import MarkedYAMLError
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import ScalarNode
from yaml.reader import ReaderError

from fairlead.config.node import BOOL, FLOAT, INT, MAP, NULL, SEQ, STR, Node
from fairlead.config.source import Source

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: the same, some ten times slower
    from yaml import SafeLoader  # type: ignore[assignment]

__all__ = ["DEEPEST", "compose", "core_tag"]

DEEPEST = 100
"""Levels of nesting. The composer recurses in C: at some 10,000 it would overrun its stack."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true", "True", "TRUE", "false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    re.ASCII,
)
_TYPED = frozenset("0123456789+-.~nNtTfF")


def core_tag(text: str) -> str:
    """The type of a plain scalar."""
    if text in _NULL:
        return NULL
    if text in _BOOL:
        return BOOL
    if _INT.fullmatch(text):
        return INT
    return FLOAT if _FLOAT.fullmatch(text) else STR


class _Composer(SafeLoader):
    """Composes nodes; types come from the core schema and not from PyYAML's YAML 1.1."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:  # noqa: ANN401
        if kind is ScalarNode:
            return core_tag(value) if implicit[0] and (not value or value[0] in _TYPED) else STR
        return SEQ if kind.id == "sequence" else MAP  # type: ignore[attr-defined]

    def ascend_resolver(self) -> None:
        """Types here do not depend on where a value is."""

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        """As above."""


def compose(source: Source) -> Node | None:
    """The tree of a file, ``None`` if there is nothing in it.

    Raises:
        Refused: if it is no YAML, more than one document, or too deep.
    """
    try:
        if _may_be_deep(source.text):
            _refuse_deep(source)
        return _Composer(source.text).get_single_node()
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        offset = _offset(source.text, at.line, at.column) if at else 0
        raise source.refuse(offset, _wording(source.text, offset, error)) from None
    except ReaderError as error:
        raise source.refuse(error.position, "a control character, which YAML does not allow") from None
    except YAMLError as error:
        raise source.refuse(0, f"is no YAML: {error}") from None


def _wording(text: str, offset: int, error: MarkedYAMLError) -> str:
    if text[offset : offset + 1] == "\t":
        return "a tab: YAML is indented by spaces"
    problem = error.problem or ""
    if problem == "but found another document":
        return "a second document (---): a file has one"
    if "cannot start any token" in problem:
        return f'"{text[offset : offset + 1]}" cannot begin a value: put the value in quotes'
    if problem == "mapping values are not allowed in this context":
        return 'a second ":" in one line: put the value in quotes, or the key in a line of its own'
    context = f"{error.context}" if error.context else ""
    begin, end = error.context_mark, error.problem_mark
    if begin and end and begin.line < end.line:
        context += f" that begins in line {begin.line + 1}"
    return f"is no YAML: {context}: {problem}" if context else f"is no YAML: {problem}"


# In flow style each level is a bracket, in block style a space or a "- "; most files need no closer look.
_COMPACT = re.compile(rf"^ {{{DEEPEST}}}|^ *(?:[-?:][ \t]+){{20}}", re.MULTILINE)
_BRACKETS = re.compile(r"[\[\]{}]")


def _may_be_deep(text: str) -> bool:
    if _COMPACT.search(text):
        return True
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > DEEPEST // 2:
                return True
        elif depth:
            depth -= 1
    return False


def _refuse_deep(source: Source) -> None:
    try:
        _measure(source, _Composer(source.text))
    except MarkedYAMLError:
        # libyaml has a limit of its own, which its scanner meets ahead of the level that is one too many.
        with contextlib.suppress(YAMLError):
            _measure(source, PythonLoader(source.text))
        raise


def _measure(source: Source, parser: SafeLoader | PythonLoader) -> None:
    depth = 0
    while (event := parser.get_event()) is not None:
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                at = event.start_mark
                offset = _offset(source.text, at.line, at.column) if at else 0
                raise source.refuse(offset, f"nested deeper than {DEEPEST} levels")
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line):
        found = text.find("\n", start)
        if found < 0:
            break
        start = found + 1
    return min(start + column, len(text))
