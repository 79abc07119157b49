"""The files under version control, so that build output is never judged."""

import subprocess
from functools import cache
from pathlib import Path


@cache
def files(root: Path) -> tuple[Path, ...]:
    """All tracked and not ignored files below `root` that exist."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(path for name in listed.stdout.splitlines() if (path := root / name).is_file())


def ending(root: Path, *suffixes: str) -> tuple[Path, ...]:
    """Those with one of these suffixes."""
    return tuple(path for path in files(root) if path.suffix in suffixes)
