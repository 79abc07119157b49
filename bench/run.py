"""`make bench`: Fairlead beside nginx, HAProxy and Envoy, every scenario in one run.

Example: `.venv/bin/python bench/run.py h1-small --rounds 20`
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from measure import flow, idle, pick, reload, requests, scenario, table, workers


def main() -> None:
    """Measure the scenarios asked for, print the table, keep the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "scenarios", nargs="*", help="names of files in bench/scenarios; all when none is given"
    )
    parser.add_argument(
        "--rounds", type=int, default=15, help="rounds of each scenario (at least 15 for a bar)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one program's turn in a round")
    options = parser.parse_args()
    chosen = scenario.read(Path(__file__).parent / "scenarios", options.scenarios)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        for one in chosen:
            place = Path(folder) / one.name
            match one.kind:
                case "request":
                    results[one.name] = requests.measure(one, options.rounds, options.seconds, place)
                case "flow":
                    results[one.name] = flow.measure(one, place)
                case "two_workers":
                    results[one.name] = workers.measure(one, options.rounds, options.seconds, place)
                case "idle":
                    results[one.name] = idle.measure(one, place)
                case "reload":
                    results[one.name] = reload.measure(one, place)
                case "pick":
                    results[one.name] = pick.measure(one)
                case other:
                    message = f"{one.name}: unknown kind {other!r}"
                    raise SystemExit(message)
    print(table.write(results, whole=not options.scenarios))


if __name__ == "__main__":
    main()
