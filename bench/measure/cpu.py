"""CPU time, memory and system calls of a process tree, as the kernel counts them."""

import re
import subprocess
import time
from pathlib import Path

PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """`root` and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left.extend(parents.get(pid, []))
    return found


def nanoseconds(pids: list[int]) -> int:
    """Run time of all their threads (`schedstat`: exact, where `stat` is sampled by ticks)."""
    total = 0
    for pid in pids:
        for thread in (PROC / str(pid) / "task").glob("*/schedstat"):
            try:
                total += int(thread.read_text().split()[0])
            except OSError:
                continue
    return total


def resident(pids: list[int]) -> int:
    """Resident bytes (proportional, so that shared pages count once)."""
    total = 0
    for pid in pids:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found.group(1)) * 1024 if found else 0
    return total


# strace -c: share, seconds, microseconds a call, calls, [errors,] name.
COLUMNS = 5
IO_CALLS = {
    "read",
    "write",
    "readv",
    "writev",
    "recvfrom",
    "sendto",
    "recvmsg",
    "sendmsg",
    "splice",
    "sendfile",
}


def calls(pid: int, seconds: float) -> dict[str, int]:
    """How often each system call was made by the process and its threads within `seconds`."""
    command = ["strace", "-f", "-c", "-q", "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    time.sleep(seconds)
    tracer.send_signal(2)
    printed = tracer.communicate(timeout=30)[1]
    counts = {}
    for line in printed.splitlines():
        columns = line.split()
        if len(columns) >= COLUMNS and columns[3].isdigit() and columns[-1] != "total":
            counts[columns[-1]] = int(columns[3])
    return counts
