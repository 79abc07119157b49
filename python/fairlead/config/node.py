"""A parsed text: what is written where. All three syntaxes end in this one tree, PyYAML's.

PyYAML's composer builds it in C, marks included, so the common case costs nothing more; JSON and TOML make
the same nodes. Tags are those of YAML's core schema, for values that have their type from the syntax.
"""

from yaml import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

__all__ = [
    "BOOL",
    "FLOAT",
    "INT",
    "MAP",
    "NULL",
    "SEQ",
    "STR",
    "MappingNode",
    "Node",
    "ScalarNode",
    "SequenceNode",
]
__all__ += ["mapping", "mark", "scalar", "sequence"]

_CORE = "tag:yaml.org,2002:"
STR, INT, FLOAT, BOOL, NULL, MAP, SEQ = (
    _CORE + name for name in ("str", "int", "float", "bool", "null", "map", "seq")
)


def mark(line: int, column: int) -> Mark:
    """A place in the text, counted from 0."""
    return Mark("", 0, line, column, None, 0)


def scalar(value: object, at: Mark) -> ScalarNode:
    """A value that its syntax has given a type."""
    match value:
        case None:
            return ScalarNode(NULL, "", at)
        case bool():
            return ScalarNode(BOOL, "true" if value else "false", at)
        case int():
            return ScalarNode(INT, str(value), at)
        case float():
            return ScalarNode(FLOAT, repr(value), at)
        case _:
            return ScalarNode(STR, str(value), at)


def mapping(items: list[tuple[ScalarNode, Node]], at: Mark) -> MappingNode:
    """Keys and values in their order."""
    return MappingNode(MAP, items, at)


def sequence(items: list[Node], at: Mark) -> SequenceNode:
    """Values in their order."""
    return SequenceNode(SEQ, items, at)
