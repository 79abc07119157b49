"""Who may depend on whom: pure crates on nothing that does I/O, the engine never on Python."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from checks import tracked

PURE = {
    "wire": {"memchr"},
    "balance": {"crossbeam-utils", "foldhash"},
    "plan": {
        "fairlead-balance",
        "fairlead-wire",
        "foldhash",
        "hmac",
        "ipnet",
        "memchr",
        "regex",
        "serde",
        "sha2",
        "smallvec",
    },
    "simulate": {"fairlead-balance", "fairlead-plan", "serde"},
}
NEVER_IN_ENGINE = {"pyo3", "hyper", "native-tls", "openssl"}
EFFECTS = re.compile(r"\b(std::(net|fs|process|env|io)\b|Instant::now|SystemTime::now|thread::(sleep|spawn))")
TESTS = re.compile(r"^#\[cfg\(test\)\]", re.MULTILINE)


def findings(root: Path) -> Iterator[str]:
    """Each dependency and each effect that does not belong."""
    for crate, allowed in PURE.items():
        extra = _dependencies(root, crate) - allowed
        if extra:
            yield f"crates/{crate}: depends on {', '.join(sorted(extra))}; it is pure"
        yield from _effects(root, crate)
    wrong = _dependencies(root, "engine") & NEVER_IN_ENGINE
    if wrong:
        yield f"crates/engine: depends on {', '.join(sorted(wrong))}"


def _dependencies(root: Path, crate: str) -> set[str]:
    manifest = tomllib.loads((root / "crates" / crate / "Cargo.toml").read_text())
    return set(manifest.get("dependencies", {}))


def _effects(root: Path, crate: str) -> Iterator[str]:
    folder = root / "crates" / crate / "src"
    for path in tracked.ending(root, ".rs"):
        if folder not in path.parents or path.stem == "tests" or path.stem.endswith("_tests"):
            continue
        code = TESTS.split(path.read_text())[0]
        for number, line in enumerate(code.splitlines(), 1):
            found = EFFECTS.search(line.split("//")[0])
            # Addresses are values, not sockets.
            if found and "std::net::{" not in line and not re.search(r"std::net::(Ip|Socket)", line):
                yield f"{path.relative_to(root)}:{number}: {found.group(0)} in a pure crate"
