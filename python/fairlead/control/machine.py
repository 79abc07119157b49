"""What this process may use of the machine: cores and memory, by its control group (version 2) if any."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")

_MEMORY_SHARE = 0.9
"""Of the group's limit: the rest is the control process' and the kernel's share of the group."""


def cores(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Cores that this process may use: its affinity, and less if a quota gives it less time than that."""
    available = len(os.sched_getaffinity(0))
    for group in _groups(root, own):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            available = min(available, math.ceil(int(quota) / int(period)))
    return max(available, 1)


def memory_limit(root: Path = _ROOT, own: Path = _OWN) -> int | None:
    """Bytes the engine may take: 90 % of the tightest limit of its control groups, ``None`` without one."""
    limits = [_read(group / "memory.max").strip() for group in _groups(root, own)]
    numbers = [int(limit) for limit in limits if limit.isdecimal()]
    return int(min(numbers) * _MEMORY_SHARE) if numbers else None


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """The control group of this process, then those around it: each one's limit holds."""
    for line in _read(own).splitlines():
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0":
            group = root / path.lstrip("/")
            yield group
            yield from (parent for parent in group.parents if parent.is_relative_to(root))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
