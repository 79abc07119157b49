"""TOML text to nodes. The standard library reads the values; where they stand is found by a scan of the keys.

The scan runs over text that was accepted already, so it follows only the structure and never judges.
"""

import re
import tomllib
from typing import Any

from yaml import Mark

from fairlead.config.node import Node, ScalarNode, mapping, mark, scalar, sequence
from fairlead.config.source import Source
from fairlead.errors import Step

__all__ = ["compose"]

Path = tuple[Step, ...]


def compose(source: Source) -> Node | None:
    """The tree of a file, ``None`` if there is nothing in it.

    Raises:
        Refused: if it is no TOML.
    """
    try:
        data = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise source.refuse(*_refusal(source.text, str(error))) from None
    except RecursionError:
        raise source.refuse(0, "nested too deeply") from None
    if not data:
        return None
    scan = _Scan(source.text)
    scan.document()
    return _node(data, (), scan.keys, scan.values, mark(0, 0))


def _refusal(text: str, message: str) -> tuple[int, str]:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if place is None:
        return 0, f"is no TOML: {message}"
    wording = f"is no TOML: {message[: place.start()][:1].lower()}{message[: place.start()][1:]}"
    if place[1] is None:
        return len(text), wording
    lines = text.split("\n")[: int(place[1]) - 1]
    return sum(len(line) + 1 for line in lines) + int(place[2]) - 1, wording


def _node(data: Any, path: Path, keys: dict[Path, Mark], values: dict[Path, Mark], above: Mark) -> Node:  # noqa: ANN401
    at = values.get(path) or keys.get(path) or above
    if isinstance(data, dict):
        items: list[tuple[ScalarNode, Node]] = []
        for key, value in data.items():
            below = (*path, key)
            items.append((scalar(key, keys.get(below, at)), _node(value, below, keys, values, at)))
        return mapping(items, at)
    if isinstance(data, list):
        return sequence([_node(each, (*path, i), keys, values, at) for i, each in enumerate(data)], at)
    return scalar(data, at)


_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
# Longest quotes first; a multi-line string may end in up to two quotes of its own.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:[^"\\]|\\.)*"' r"|'[^']*'", re.DOTALL
)


class _Scan:
    """Follows tables, keys, arrays and inline tables, and notes where each begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}
        self._lengths: dict[Path, int] = {}
        self._line = 0
        self._line_start = 0
        self._counted = 0

    def document(self) -> None:
        table: Path = ()
        while True:
            self._take(_SPACE)
            if self.position >= len(self.text):
                return
            if self._at("[["):
                table = self._header(2)
            elif self._at("["):
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> Path:
        at = self._mark()
        self.position += brackets
        parts = self._key()
        self._take(_BLANK)
        self.position += brackets
        path: Path = ()
        for part in parts[:-1]:
            path = self._last((*path, part))
            self.keys.setdefault(path, at)
        path = (*path, parts[-1])
        self.keys.setdefault(path, at)
        if brackets > 1:
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = self._last(path)
            self.keys.setdefault(path, at)
        return path

    def _last(self, path: Path) -> Path:
        """A table below an array of tables belongs to its last element."""
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _pair(self, table: Path) -> None:
        at = self._mark()
        path = table
        for part in self._key():
            path = (*path, part)
            self.keys.setdefault(path, at)
        self._take(_BLANK)
        self.position += 1  # "="
        self._take(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._take(_BLANK)
            if self._at('"') or self._at("'"):
                quoted = self._take(_STRING)
                parts.append(str(tomllib.loads(f"k = {quoted}")["k"]))
            else:
                parts.append(self._take(_BARE_KEY))
            self._take(_BLANK)
            if not self._at("."):
                return parts
            self.position += 1

    def _value(self, path: Path) -> None:
        self.values[path] = self._mark()
        if self._at("["):
            self._items(path, "]")
        elif self._at("{"):
            self._items(path, "}")
        elif self._at('"') or self._at("'"):
            self._take(_STRING)
        else:
            self._take(_BARE_VALUE)

    def _items(self, path: Path, closing: str) -> None:
        self.position += 1
        index = 0
        while True:
            self._take(_SPACE)
            if self._at(closing) or self.position >= len(self.text):
                self.position += 1
                return
            if self._at(","):
                self.position += 1
            elif closing == "}":
                self._pair(path)
            else:
                self._value((*path, index))
                index += 1

    def _at(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.position)
        if match is None:
            return ""
        self.position = match.end()
        return match[0]

    def _mark(self) -> Mark:
        newlines = self.text.count("\n", self._counted, self.position)
        if newlines:
            self._line += newlines
            self._line_start = self.text.rfind("\n", self._counted, self.position) + 1
        self._counted = self.position
        return mark(self._line, self.position - self._line_start)
