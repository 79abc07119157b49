"""What the control groups allow."""

import os
from pathlib import Path

from fairlead.control.machine import cores, memory_limit


def group(tmp_path: Path, limits: dict[str, str]) -> tuple[Path, Path]:
    own = tmp_path / "cgroup"
    own.write_text("0::/outer/inner\n")
    for name, text in limits.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "fs", own


def test_without_groups_the_affinity_counts(tmp_path: Path) -> None:
    root, own = group(tmp_path, {})
    assert cores(root, own) == len(os.sched_getaffinity(0))
    assert memory_limit(root, own) is None


def test_a_quota_of_any_group_around_us_counts(tmp_path: Path) -> None:
    root, own = group(tmp_path, {"outer/inner/cpu.max": "max 100000\n", "outer/cpu.max": "50000 100000\n"})
    assert cores(root, own) == 1


def test_memory_is_nine_tenths_of_the_tightest_limit(tmp_path: Path) -> None:
    root, own = group(tmp_path, {"outer/inner/memory.max": "max\n", "outer/memory.max": "1000\n"})
    assert memory_limit(root, own) == 900


def test_an_unreadable_file_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "missing") is None
