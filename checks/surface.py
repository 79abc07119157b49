"""What Fairlead promises to programs: each package lists its public names, and the lists are true."""

import ast
from collections.abc import Iterator
from pathlib import Path

from checks import tracked

FOLDERS_NEVER = {"utils", "common", "helpers", "misc", "manager", "base"}


def findings(root: Path) -> Iterator[str]:
    """`__init__` files without `__all__`, names in it that don't exist, and folder names that say nothing."""
    package = root / "python" / "fairlead"
    for path in tracked.ending(root, ".py", ".rs"):
        if path.stem in FOLDERS_NEVER or path.parent.name in FOLDERS_NEVER:
            yield f"{path.relative_to(root)}: a name that says nothing about what is inside"
        if path.name == "__init__.py" and package in (path.parent, *path.parents):
            yield from _package(path, path.relative_to(root))


def _package(path: Path, name: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    bound: set[str] = set()
    promised: set[str] | None = None
    lazy = False
    for node in tree.body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                bound |= {alias.asname or alias.name for alias in names}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
                lazy = lazy or node.name == "__getattr__"
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                promised = set(ast.literal_eval(value))
            case ast.Assign(targets=targets):
                bound |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=target)):
                bound.add(target)
    public = {bound_name for bound_name in bound if not bound_name.startswith("_")}
    if promised is None:
        if public:
            yield f"{name}: binds names but has no __all__"
        return
    if not lazy and promised - bound:
        yield f"{name}: __all__ promises {', '.join(sorted(promised - bound))}, which is not there"
