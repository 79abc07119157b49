"""Memory: what an idle connection holds, and what stays after bursts."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measure import cpu
from measure.programs import LOADER, OTHER_CORE, Program, origin, program
from measure.requests import PEERS
from measure.scenario import Scenario

SETTLE_SECONDS = 10.0


def measure(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """Bytes an idle connection and resident size after each of two bursts, ours and the peers'."""
    outcome: dict[str, Any] = {}
    for name in ("fairlead", *PEERS):
        print(f"{scenario.name}: {name}", file=sys.stderr)
        with ExitStack() as stack:
            address = stack.enter_context(origin())
            subject = stack.enter_context(program(name, scenario, address, folder / name))
            outcome[name] = _one(subject, scenario)
    ours = outcome["fairlead"]
    ours["held"] = {
        "idle": ours["bytes_per_connection"] <= scenario.idle_bar_bytes,
        "burst": ours["after_second_burst"] <= scenario.burst_bar * ours["after_first_burst"],
    }
    return outcome


def _one(subject: Program, scenario: Scenario) -> dict[str, float]:
    base = cpu.resident(subject.pids())
    with_idle = _hold(subject, scenario.idle_connections, lambda: cpu.resident(subject.pids()))
    _hold(subject, scenario.burst_connections, lambda: 0)
    time.sleep(SETTLE_SECONDS)
    first = cpu.resident(subject.pids())
    _hold(subject, scenario.burst_connections, lambda: 0)
    time.sleep(SETTLE_SECONDS)
    second = cpu.resident(subject.pids())
    return {
        "base": base,
        "with_idle": with_idle,
        "bytes_per_connection": (with_idle - base) / scenario.idle_connections,
        "after_first_burst": first,
        "after_second_burst": second,
    }


def _hold(subject: Program, connections: int, look: Callable[[], int]) -> int:
    command = ["taskset", "-c", OTHER_CORE, str(LOADER), "idle", subject.address]
    holder = subprocess.Popen(
        [*command, "--connections", str(connections)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if holder.stdin is None or holder.stdout is None:
        raise AssertionError
    if not holder.stdout.readline().startswith("open"):
        message = f"{subject.name}: {connections} connections could not be opened"
        raise RuntimeError(message)
    seen = int(look())
    holder.stdin.close()
    holder.wait(timeout=60)
    return seen
