"""Two workers on two cores against one worker that is free on the same two: what sharing costs."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measure import admin, cpu, load
from measure.programs import origin, program
from measure.scenario import Scenario
from measure.statistics import ratio


def measure(scenario: Scenario, rounds: int, seconds: float, folder: Path) -> dict[str, Any]:
    """CPU a request of both, the same rate a worker; and how many requests found an open upstream."""
    used: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        address = stack.enter_context(origin("0,1"))
        subjects = {
            workers: stack.enter_context(
                program("fairlead", scenario, address, folder / f"w{workers}", None, workers)
            )
            for workers in used
        }
        for number in range(rounds):
            print(f"\r{scenario.name}: round {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for workers, subject in subjects.items():
                with load.arguments(scenario, scenario.rate * workers) as flags:
                    pids = subject.pids()
                    before = cpu.nanoseconds(pids)
                    report = load.run(subject.address, flags, seconds, "0,1")
                    used[workers].append((cpu.nanoseconds(pids) - before) / 1000 / report["requests"])
        print(file=sys.stderr)
        backend = admin.status(subjects[2])["pools"][0]["backends"][0]
    own = ratio(used[2], used[1])
    reuse = 1 - backend["connects"] / max(1, backend["requests"])
    return {
        "cpu_us_per_request": used,
        "ratio": vars(own),
        "reuse": reuse,
        "held": {
            "cpu": own.median <= (scenario.own_bar or 0),
            "reuse": reuse >= (scenario.reuse_bar or 0),
        },
    }
