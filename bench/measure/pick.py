"""One decision: nanoseconds of the picking thread, by algorithm and number of backends."""

import json
import subprocess
from typing import Any

from measure.programs import ROOT
from measure.scenario import Scenario


def measure(scenario: Scenario) -> dict[str, Any]:
    """The rows that `cargo bench -p fairlead-balance` prints, each against its bar."""
    command = ["cargo", "bench", "--quiet", "-p", "fairlead-balance", "--bench", "pick"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    rows = [json.loads(line) for line in printed.stdout.splitlines() if line.startswith("{")]
    held = {}
    for row in rows:
        bar = scenario.bars_ns.get(str(row["members"]))
        if bar is not None:
            held[f"{row['algorithm']} {row['weights']} {row['members']}"] = row["ns"] <= bar
    return {"rows": rows, "held": held}
