"""Asks a running Fairlead about itself."""

import json
import subprocess
from typing import Any

from measure.programs import BIN, Program


def status(subject: Program) -> dict[str, Any]:
    """What `fairlead status --json` prints."""
    command = [str(BIN / "fairlead"), "status", "--json", "--admin", str(subject.directory / "admin.sock")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found
