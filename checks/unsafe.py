"""`unsafe` stands in one module of the engine, each block with its SAFETY line; elsewhere it is forbidden."""

import re
from collections.abc import Iterator
from pathlib import Path

from checks import tracked

FORBIDDING = ("wire", "balance", "plan", "simulate")
ALLOWED = "crates/engine/src/unix/"
# A counting allocator can't be written without it; it lives in its test.
ALLOWED_TEST = "crates/engine/tests/allocations.rs"
WORD = re.compile(r"\bunsafe\b(?!_code)")
LOOKBACK = 6


def findings(root: Path) -> Iterator[str]:
    """Crates that don't forbid it, and places that use it."""
    for crate in FORBIDDING:
        lib = root / "crates" / crate / "src" / "lib.rs"
        if "#![forbid(unsafe_code)]" not in lib.read_text():
            yield f"{lib.relative_to(root)}: lacks #![forbid(unsafe_code)]"
    for path in tracked.ending(root, ".rs"):
        name = str(path.relative_to(root))
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            code = line.split("//")[0]
            if not WORD.search(code):
                continue
            if name == ALLOWED_TEST:
                continue
            if not name.startswith(ALLOWED):
                yield f"{name}:{number}: unsafe outside {ALLOWED}"
            elif "{" in code and not any(
                "SAFETY" in before for before in lines[max(0, number - LOOKBACK) : number]
            ):
                yield f"{name}:{number}: unsafe without a SAFETY comment above it"
