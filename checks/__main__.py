"""Run every rule; exit 1 when one is broken."""

import sys
from pathlib import Path

from checks import crates, licenses, sizes, surface, unsafe

RULES = (sizes, unsafe, crates, licenses, surface)


def main() -> int:
    """Print each finding with the rule that made it."""
    root = Path(__file__).resolve().parent.parent
    found = [f"{rule.__name__}: {line}" for rule in RULES for line in rule.findings(root)]
    for line in found:
        print(line)
    print(f"{len(RULES)} rules, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
