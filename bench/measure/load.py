"""Runs the load generator and reads its report."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure.programs import LOADER, OTHER_CORE
from measure.scenario import Scenario


@contextmanager
def arguments(scenario: Scenario, rate: int | None = None) -> Iterator[list[str]]:
    """The load generator's arguments for a scenario."""
    flags = ["--connections", str(scenario.connections), "--rate", str(rate or scenario.rate)]
    flags += ["--path", scenario.path]
    if scenario.close:
        flags.append("--close")
    if scenario.post:
        flags += ["--post", str(scenario.post)]
    with tempfile.TemporaryDirectory() as folder:
        targets = scenario.targets()
        if targets:
            listing = Path(folder) / "targets"
            listing.write_text("".join(f"{host} {path}\n" for host, path in targets))
            flags += ["--targets", str(listing)]
        yield flags


def run(address: str, flags: list[str], seconds: float, core: str | None = OTHER_CORE) -> dict[str, Any]:
    """One run of the load; a failed request ends the measurement, since its figures would lie."""
    return finish(start(address, flags, seconds, core), seconds)


def finish(process: "subprocess.Popen[str]", seconds: float) -> dict[str, Any]:
    """The report of a load that ends within `seconds`; a failed request ends the measurement, as in `run`."""
    printed = process.communicate(timeout=seconds + 60)[0]
    if process.returncode != 0:
        message = f"the load generator ended with {process.returncode}"
        raise RuntimeError(message)
    report: dict[str, Any] = json.loads(printed)
    return report


def start(
    address: str, flags: list[str], seconds: float, core: str | None = OTHER_CORE
) -> "subprocess.Popen[str]":
    """The load in the background; its report is what it prints."""
    pin = ["taskset", "-c", core] if core else []
    command = [*pin, str(LOADER), "load", address, "--seconds", str(seconds), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
