"""One long session through a TCP listener: CPU seconds a GiB of each program, in turn, round after round."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measure import admin, cpu, load
from measure.programs import Program, origin, program
from measure.requests import PEERS
from measure.scenario import Scenario
from measure.statistics import figure, ratio

GIB = 2**30
ROUNDS = 10
LONGEST_SECONDS = 60.0
NAMES = ("fairlead", *PEERS, "relay")


def measure(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """What a GiB costs each of them, and how much of ours never came into our memory."""
    used: dict[str, list[float]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        address = stack.enter_context(origin())
        programs = [stack.enter_context(program(n, scenario, address, folder / n)) for n in NAMES]
        for subject in programs:
            _carry(subject, scenario.flow_bytes // 16)
        ours = programs[0]
        before = _spliced(ours)
        for number in range(ROUNDS):
            print(f"\r{scenario.name}: round {number + 1} of {ROUNDS}", end="", file=sys.stderr, flush=True)
            for subject in programs:
                used[subject.name].append(_carry(subject, scenario.flow_bytes))
        print(file=sys.stderr)
        spliced = (_spliced(ours) - before) / (ROUNDS * scenario.flow_bytes)
    best = min(PEERS, key=lambda name: figure(used[name]).median)
    found = ratio(used["fairlead"], used[best])
    return {
        "cpu_s_per_gib": used,
        "median_s": {name: vars(figure(values)) for name, values in used.items()},
        "best_peer": best,
        "ratio": vars(found),
        "held": scenario.bar is None or found.median <= scenario.bar,
        "spliced_share": spliced,
    }


def _carry(subject: Program, size: int) -> float:
    """CPU seconds a GiB of one session that carries so many bytes."""
    pids = subject.pids()
    before = cpu.nanoseconds(pids)
    flags = ["--connections", "1", "--requests", "1", "--path", f"/bytes/{size}"]
    report = load.run(subject.address, flags, LONGEST_SECONDS)
    if report["failed"]:
        message = f"{subject.name}: the session broke: {report['failures']}"
        raise RuntimeError(message)
    return (cpu.nanoseconds(pids) - before) / 1e9 / (size / GIB)


def _spliced(subject: Program) -> int:
    # The status is at most a second old.
    time.sleep(1.2)
    return sum(int(listener["spliced_bytes"]) for listener in admin.status(subject)["listeners"])
