"""What the examples show can be used as it stands."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fairlead.compile import engine_check, load
from fairlead.config import read

ROOT = Path(__file__).parents[2] / "examples"
STARTS = sorted([*ROOT.glob("*.*"), *ROOT.glob("*/fairlead.*")])
"""The files that one would give to ``fairlead run``."""


def judge(spec_json: str, /) -> list[dict[str, Any]]:
    """Ask the engine where it is built."""
    return engine_check(spec_json) if find_spec("fairlead._engine") else []


@pytest.mark.parametrize("path", STARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_is_accepted(path: Path) -> None:
    load(str(path), environment={}, check=judge)


def test_no_file_of_the_examples_is_left_out() -> None:
    used = {Path(name).resolve() for path in STARTS for name in read(str(path), {}).files}
    assert used == {path.resolve() for path in ROOT.rglob("*") if path.is_file()}


def test_both_smallest_files_mean_the_same() -> None:
    yaml, toml = (load(str(ROOT / name), check=judge).spec for name in ("minimal.yaml", "minimal.toml"))
    assert yaml == toml
