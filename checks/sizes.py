"""Files stay small enough to be one idea: 600 lines, tests 800; functions 60 lines, 6 parameters.

Functions of Rust are measured by clippy (`too_many_lines`, `too_many_arguments`); here those of Python.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from checks import tracked

FILE_LINES = 600
TEST_LINES = 800
FUNCTION_LINES = 60
PARAMETERS = 6


def _is_test(path: Path, root: Path) -> bool:
    relative = path.relative_to(root)
    return "tests" in relative.parts or path.stem == "tests" or path.stem.endswith("_tests")


def findings(root: Path) -> Iterator[str]:
    """Each file and function over its limit."""
    for path in tracked.ending(root, ".py", ".rs", ".pyi"):
        text = path.read_text()
        lines = text.splitlines()
        name = path.relative_to(root)
        limit = TEST_LINES if _is_test(path, root) else FILE_LINES
        if len(lines) > limit:
            yield f"{name}: {len(lines)} lines (limit {limit}): it has two ideas, find the second"
        if path.suffix == ".rs":
            continue
        for line, function, length, parameters in _python(text):
            if length > FUNCTION_LINES:
                yield f"{name}:{line}: {function} has {length} lines (limit {FUNCTION_LINES})"
            if parameters > PARAMETERS:
                yield f"{name}:{line}: {function} has {parameters} parameters (limit {PARAMETERS})"


def _python(text: str) -> Iterator[tuple[int, str, int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            named = [a.arg for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in {"self", "cls"}]
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.lineno, node.name, length, len(named)
