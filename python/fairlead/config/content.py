"""What a tree of nodes says: plain dictionaries, lists and scalars for the models to judge.

What a dictionary could not hold is found here: keys written twice, values left empty, aliases that never end.
"""

from collections.abc import Callable, Mapping

from fairlead.config.environment import UnsetError, expand
from fairlead.config.node import (
    BOOL,
    FLOAT,
    INT,
    MAP,
    NULL,
    SEQ,
    STR,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
)
from fairlead.config.yaml_syntax import DEEPEST
from fairlead.errors import Place, Problem, Step
from fairlead.model.value import Expanded

__all__ = ["LARGEST_EXPANSION", "Content", "node_place"]

LARGEST_EXPANSION = 2_000_000
"""Values of a file once its aliases are followed; ten aliases of ten, nine levels deep, would be 10^9."""

_ABSENT = object()

_NO_UNICODE = (
    "holds what is no character: half of a surrogate pair, or bytes of the environment that are no UTF-8"
)


class Content:
    """Reads one file's tree. ``problems`` grows while ``data`` is made."""

    def __init__(self, file: str, environment: Mapping[str, str]) -> None:
        self.file = file
        self.environment = environment
        self.problems: list[Problem] = []
        self._left = LARGEST_EXPANSION

    def read(self, root: Node) -> dict[str, object]:
        """The file's mapping; empty if it is none, or cannot be followed."""
        if not isinstance(root, MappingNode):
            self._problem((), root, "a mapping is expected, such as `listeners: …` and `pools: …`")
            return {}
        data = self._value(root, ())
        if self._left < 0:
            self.problems = []
            self._problem(
                (), root, f"its aliases never end, or stand for more than {LARGEST_EXPANSION:,} values"
            )
            return {}
        return data if isinstance(data, dict) else {}

    def _value(self, node: Node, path: tuple[Step, ...]) -> object:
        self._left -= 1
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if self._left < 0:
            return _ABSENT
        if len(path) > DEEPEST:  # only an alias inside its own anchor gets here
            self._left = -1
            return _ABSENT
        if node.tag not in {MAP, SEQ}:
            self._problem(path, node, f"the tag {_short(node.tag)} is not known")
            return _ABSENT
        if isinstance(node, SequenceNode):
            return self._sequence(node, path)
        return self._mapping(node, path)

    def _sequence(self, node: SequenceNode, path: tuple[Step, ...]) -> list[object]:
        values = [self._value(each, (*path, index)) for index, each in enumerate(node.value)]
        # An absent item has had its error; a hole would move the places of those after it.
        return ["" if value is _ABSENT else value for value in values]

    def _mapping(self, node: Node, path: tuple[Step, ...]) -> dict[str, object]:
        data: dict[str, object] = {}
        absent = False
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                self._problem(path, key_node, "a key is text, not a list or a mapping")
                continue
            if not _is_unicode(key):
                self._problem(path, key_node, _NO_UNICODE)
                continue
            below = (*path, key)
            if key in data:
                first = next(each for each, _ in node.value if each.value == key)
                self._problem(below, key_node, f'the key "{key}" is written twice, first {self._at(first)}')
                continue
            value = data[key] = self._value(value_node, below)
            absent = absent or value is _ABSENT
        if absent:
            return {key: value for key, value in data.items() if value is not _ABSENT}
        return data

    def _scalar(self, node: ScalarNode, path: tuple[Step, ...]) -> object:
        text: str = node.value
        if node.tag == STR:
            value = self._expanded(node, text, path) if "${" in text else text
            if isinstance(value, str) and not _is_unicode(value):
                self._problem(path, node, _NO_UNICODE)
                return _ABSENT
            return value
        read = _READ.get(node.tag)
        if read is None:
            self._problem(path, node, f"the tag {_short(node.tag)} is not known")
            return _ABSENT
        if read is _nothing:
            self._problem(path, node, "is empty: write a value, or remove the key")
            return _ABSENT
        try:
            return read(text)
        except ValueError:
            self._problem(path, node, f'"{text[:40]}" is no {_short(node.tag).strip("!")}')
            return _ABSENT

    def _expanded(self, node: ScalarNode, text: str, path: tuple[Step, ...]) -> object:
        try:
            return Expanded(expand(text, self.environment))
        except UnsetError as error:
            self._problem(path, node, str(error))
            return _ABSENT

    def _problem(self, path: tuple[Step, ...], node: Node, message: str) -> None:
        self.problems.append(Problem(path, message, node_place(self.file, node)))

    def _at(self, node: Node) -> str:
        place = node_place(self.file, node)
        return f"in line {place.line}, column {place.column}"


def node_place(file: str, node: Node) -> Place:
    """Where a node begins."""
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    if digits[:2] in {"0o", "0x"}:
        return int(digits[2:], 8 if digits[1] == "o" else 16)
    if len(digits) > 19:  # noqa: PLR2004  (more than 64 bits hold)
        message = "too long"
        raise ValueError(message)
    return int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _nothing(_text: str) -> None:
    """Null: this format has no use for it."""


_READ: dict[str, Callable[[str], object]] = {
    INT: _integer,
    FLOAT: _float,
    BOOL: lambda text: text.lower() == "true",
    NULL: _nothing,
}


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
