"""No licence that would bind users is linked in (no GPL, no AGPL), and there is one of each thing."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
# One of each thing: a second of these in the tree is a mistake in a feature list.
SINGLE = {"tokio", "serde", "regex", "pyo3", "mimalloc", "rustls", "hyper", "openssl"}
BANNED = {"openssl", "native-tls", "ring"}


def findings(root: Path) -> Iterator[str]:
    """Each crate with a licence not listed, each banned one, each that comes twice."""
    printed = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--quiet"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    seen: dict[str, str] = {}
    built = _built(root)
    for package in json.loads(printed.stdout)["packages"]:
        name, version = package["name"], package["version"]
        if (name, version) not in built:
            continue
        if not _allowed(package["license"] or ""):
            yield f"{name} {version}: licence {package['license']!r} is not on the list"
        if name in BANNED:
            yield f"{name} {version}: one TLS stack (rustls with aws-lc-rs)"
        if name in SINGLE and name in seen:
            yield f"{name}: {seen[name]} and {version}"
        seen[name] = version


def _built(root: Path) -> set[tuple[str, str]]:
    """What is compiled on this platform: the lock file also names what features that are off would need."""
    printed = subprocess.run(
        ["cargo", "tree", "--workspace", "--locked", "--edges", "all", "--prefix", "none", "--format", "{p}"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    found = set()
    for line in printed.stdout.splitlines():
        name, _, rest = line.partition(" ")
        found.add((name, rest.split(" ")[0].removeprefix("v")))
    return found


def _allowed(expression: str) -> bool:
    choices = expression.replace("/", " OR ").replace("(", "").replace(")", "").split(" OR ")
    return any(all(part.strip() in ALLOWED for part in choice.split(" AND ")) for choice in choices)
