"""One decision: nanoseconds of the picking thread, by algorithm and number of backends."""

import json
import subprocess
from typing import Any

from measure.programs import ROOT
from measure.scenario import Scenario

WRITES_A_SECOND = 200_000
"""As the bench paces its writer."""

ENOUGH = 0.95
"""Less of these means a figure without its writer."""


def measure(scenario: Scenario) -> dict[str, Any]:
    """The rows that `cargo bench -p fairlead-balance` prints, each against its bar."""
    command = ["cargo", "bench", "--quiet", "-p", "fairlead-balance", "--bench", "pick"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    printed_rows = [json.loads(line) for line in printed.stdout.splitlines() if line.startswith("{")]
    rows = [row for row in printed_rows if "ns" in row]
    tables = [row for row in printed_rows if "build_ms" in row]
    starved = [row for row in rows if row["writes"] < ENOUGH * WRITES_A_SECOND]
    if starved:
        message = f"the writer beside the picks did not keep its pace; run it on two quiet cores: {starved}"
        raise RuntimeError(message)
    held = {}
    for row in rows:
        bar = _bar(row, scenario.bars_ns)
        if bar is not None:
            held[f"{row['algorithm']} {row['weights']} {row['members']}"] = row["ns"] <= bar
    for row in tables:
        bar = scenario.bars_build_ms.get(row["table"])
        if bar is not None:
            held[f"{row['table']} build {row['members']}"] = row["build_ms"] <= bar
    return {"rows": rows, "tables": tables, "bars_ns": scenario.bars_ns, "held": held}


def _bar(row: dict[str, Any], bars: dict[str, int]) -> int | None:
    """A pick's bar; rendezvous looks at each backend, so its own grows with them."""
    members: int = row["members"]
    if row["algorithm"] == "rendezvous":
        return 50 + (2 if row["weights"] == "equal" else 6) * members
    return bars.get(str(members))
