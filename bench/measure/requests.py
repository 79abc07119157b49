"""Scenarios of the kind `request`: CPU a request of each program, in turn, round after round."""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import cpu, load
from measure.programs import Program, origin, program
from measure.scenario import Scenario
from measure.statistics import Figure, figure, ratio

PEERS = ("nginx", "haproxy", "envoy")
CALL_SECONDS = 2.0
# Before what is measured of a turn, in seconds: the load opens its connections then. The relay opens two
# where the others open one and keep the other: with them in it, the floor of a short turn is too high.
OPENING = 0.5
# After it: the load still runs when the CPU time is read.
ENDING = 0.1


@dataclass
class Outcome:
    """What a scenario gave: microseconds of CPU a request by program, and the latencies of the last round."""

    scenario: Scenario
    cpu: dict[str, list[float]] = field(default_factory=dict)
    latency: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)

    def best_peer(self) -> str:
        """The peer with the lowest median."""
        return min(PEERS, key=lambda name: figure(self.cpu[name]).median)

    def ratio(self) -> Figure:
        """Ours to the best peer's, round by round."""
        return ratio(self.cpu["fairlead"], self.cpu[self.best_peer()])

    def excess(self) -> Figure:
        """The same beyond what the bare relay costs."""
        relay = self.cpu["relay"]
        ours = [our - floor for our, floor in zip(self.cpu["fairlead"], relay, strict=True)]
        theirs = [their - floor for their, floor in zip(self.cpu[self.best_peer()], relay, strict=True)]
        return ratio(ours, theirs)

    def as_json(self) -> dict[str, Any]:
        """All that was measured, for the results file."""
        return {
            "cpu_us_per_request": self.cpu,
            "median_us": {name: vars(figure(values)) for name, values in self.cpu.items()},
            "best_peer": self.best_peer(),
            "ratio": vars(self.ratio()),
            "excess": vars(self.excess()),
            "latency_ms": self.latency,
            "failed": self.failed,
            "calls_per_request": self.calls,
        }


def measure(scenario: Scenario, rounds: int, seconds: float, folder: Path) -> Outcome:
    """All programs stand at once; one at a time is under load."""
    outcome = Outcome(scenario)
    with ExitStack() as stack:
        address = stack.enter_context(origin())
        names = ("fairlead", *PEERS, "relay")
        programs = [stack.enter_context(program(n, scenario, address, folder / n)) for n in names]
        own_small = None
        if scenario.routes:
            plain = Scenario(name="h1-small", title="", rate=scenario.rate, connections=scenario.connections)
            own_small = stack.enter_context(program("fairlead", plain, address, folder / "plain"))
            own_small.name = "fairlead h1-small"
            programs.append(own_small)
        flags = stack.enter_context(load.arguments(scenario))
        for subject in programs:
            load.run(subject.address, flags, 1.0)
        for number in range(rounds):
            print(f"\r{scenario.name}: round {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for subject in programs:
                _round(outcome, subject, flags, seconds)
        print(file=sys.stderr)
        if scenario.count_calls:
            _count_calls(outcome, programs[0], flags)
    return outcome


def _round(outcome: Outcome, subject: Program, flags: list[str], seconds: float) -> None:
    pids = subject.pids()
    process = load.start(subject.address, flags, OPENING + seconds + ENDING)
    time.sleep(OPENING)
    before, began = cpu.nanoseconds(pids), time.monotonic()
    time.sleep(seconds)
    used, took = cpu.nanoseconds(pids) - before, time.monotonic() - began
    report = load.finish(process, ENDING)
    # An open loop that every program keeps up with: requests are answered at the rate they are made at.
    rate = report["requests"] / report["seconds"]
    outcome.cpu.setdefault(subject.name, []).append(used / 1000 / (rate * took))
    outcome.latency.setdefault(subject.name, []).append(report["latency_ms"])
    outcome.failed[subject.name] = outcome.failed.get(subject.name, 0) + report["failed"]


def _count_calls(outcome: Outcome, subject: Program, flags: list[str]) -> None:
    """System calls a request, at a rate that a traced program can hold."""
    slow = [*flags, "--rate", "1000", "--connections", "16"]
    load.run(subject.address, slow, 1.0)
    process = load.start(subject.address, slow, CALL_SECONDS + 2, None)
    engine = max(subject.pids(), key=lambda pid: cpu.nanoseconds([pid]))
    counts = cpu.calls(engine, CALL_SECONDS + 4)
    printed = process.communicate(timeout=60)[0]
    requests = load.json.loads(printed)["requests"]
    outcome.calls = {name: count / requests for name, count in counts.items()}
    outcome.calls["I/O"] = sum(count for name, count in counts.items() if name in cpu.IO_CALLS) / requests
