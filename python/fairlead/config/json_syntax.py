"""JSON text to nodes (RFC 8259), keeping where each value stands and every key that is written twice."""

import re
from json import JSONDecodeError, JSONDecoder
from typing import NoReturn

from yaml import Mark

from fairlead.config.node import MappingNode, Node, ScalarNode, SequenceNode, mapping, mark, scalar, sequence
from fairlead.config.source import Source
from fairlead.config.yaml_syntax import DEEPEST

__all__ = ["compose"]

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_STRINGS = JSONDecoder()
_WORDS = {"true": True, "false": False, "null": None}


def compose(source: Source) -> Node | None:
    """The tree of a file, ``None`` if there is nothing in it.

    Raises:
        Refused: if it is no JSON, or too deep.
    """
    reader = _Reader(source)
    if reader.at_end():
        return None
    node = reader.value(0)
    if not reader.at_end():
        raise source.refuse(reader.position, "something follows the value")
    return node


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.position = 0
        self._line = 0
        self._line_start = 0

    def at_end(self) -> bool:
        self._skip()
        return self.position == len(self.text)

    def value(self, depth: int) -> Node:
        self._skip()
        if depth > DEEPEST:
            self._refuse(f"nested deeper than {DEEPEST} levels")
        at = self._mark()
        character = self._peek()
        if character == "{":
            return self._object(at, depth)
        if character == "[":
            return self._array(at, depth)
        return self._string(at) if character == '"' else self._literal(at)

    def _object(self, at: Mark, depth: int) -> MappingNode:
        items: list[tuple[ScalarNode, Node]] = []
        self.position += 1
        while self._more("}", first=not items):
            if self._peek() != '"':
                self._refuse('a key in double quotes, or "}", is expected')
            key = self._string(self._mark())
            self._skip()
            self._expect(":")
            items.append((key, self.value(depth + 1)))
        return mapping(items, at)

    def _array(self, at: Mark, depth: int) -> SequenceNode:
        items: list[Node] = []
        self.position += 1
        while self._more("]", first=not items):
            items.append(self.value(depth + 1))
        return sequence(items, at)

    def _more(self, closing: str, *, first: bool) -> bool:
        self._skip()
        if self._peek() == closing:
            self.position += 1
            return False
        if not first:
            self._expect(",", closing)
            self._skip()
            if self._peek() == closing:
                self._refuse(f'a "," before "{closing}", which JSON does not allow')
        return True

    def _string(self, at: Mark) -> ScalarNode:
        try:
            text, self.position = _STRINGS.raw_decode(self.text, self.position)
        except JSONDecodeError as error:
            raise self.source.refuse(error.pos, f"is no JSON: {error.msg}") from None
        return scalar(text, at)

    def _literal(self, at: Mark) -> ScalarNode:
        number = _NUMBER.match(self.text, self.position)
        if number:
            self.position = number.end()
            is_float = number[1] or number[2]
            return scalar(float(number[0]) if is_float else int(number[0][:4000]), at)
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.position):
                self.position += len(word)
                return scalar(value, at)
        raise self._refuse(
            "a value is expected" if self.position < len(self.text) else "the file ends too early"
        )

    def _expect(self, character: str, *others: str) -> None:
        if self._peek() != character:
            either = " or ".join(f'"{each}"' for each in (character, *others))
            self._refuse(f"{either} is expected")
        self.position += 1

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _refuse(self, message: str) -> NoReturn:
        raise self.source.refuse(self.position, message)

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        end = match.end() if match else self.position
        newlines = self.text.count("\n", self.position, end)
        if newlines:
            self._line += newlines
            self._line_start = self.text.rfind("\n", self.position, end) + 1
        self.position = end

    def _mark(self) -> Mark:
        return mark(self._line, self.position - self._line_start)
