"""A hundred reloads under load: nothing fails, and the tail stays near the undisturbed one."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measure import cpu, load
from measure.programs import OTHER_CORE, PROXY_CORE, Program, free_port, origin, program
from measure.scenario import Scenario

GAP_SECONDS = 0.2
UNDISTURBED_SECONDS = 20.0


class _Admin(http.client.HTTPConnection):
    """HTTP over the admin socket, kept open: asking is no work for the engine's core."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self.path))

    def version(self) -> int:
        self.request("GET", "/api/v1/status")
        return int(json.loads(self.getresponse().read())["plan_version"])


def measure(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """p99 with and without reloads, failures, and how long a reload takes."""
    with ExitStack() as stack:
        address = stack.enter_context(origin())
        other = stack.enter_context(origin())
        subject = stack.enter_context(program("fairlead", scenario, address, folder / "fairlead"))
        engine = _place(subject)
        flags = stack.enter_context(load.arguments(scenario))
        load.run(subject.address, flags, 2.0)
        undisturbed = load.run(subject.address, flags, UNDISTURBED_SECONDS)
        expected = scenario.reloads * (GAP_SECONDS + 0.2)
        process = load.start(subject.address, flags, expected, OTHER_CORE)
        took = _reload(subject, scenario.reloads, [address, other], process)
        report = json.loads(process.communicate(timeout=expected + 60)[0])
        resident = cpu.resident([engine])
    held = report["failed"] == 0 and report["latency_ms"]["p99"] <= (scenario.own_bar or 0) * max(
        undisturbed["latency_ms"]["p99"], 0.1
    )
    return {
        "reloads": len(took),
        "requests": report["requests"],
        "failed": report["failed"],
        "failures": report["failures"],
        "p99_ms": report["latency_ms"]["p99"],
        "undisturbed_p99_ms": undisturbed["latency_ms"]["p99"],
        "reload_seconds": {"median": sorted(took)[len(took) // 2], "max": max(took)},
        "engine_resident_bytes": resident,
        "held": {"reload": held and len(took) == scenario.reloads},
    }


def _place(subject: Program) -> int:
    """The engine alone on its core; control beside generator and origin."""
    engine = max(subject.pids(), key=lambda pid: cpu.nanoseconds([pid]) if pid != subject.pid else 0)
    for pid in subject.pids():
        core = PROXY_CORE if pid == engine else OTHER_CORE
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {int(core)})
    return engine


def _versions(subject: Program, origins: list[str]) -> list[str]:
    """Two configurations that differ in routes, weights, a backend and a listener."""
    first, second = origins
    port, extra = subject.address.rpartition(":")[2], free_port()
    head = (
        f"runtime: {{workers: 1, directory: {subject.directory}}}\n"
        f'listeners:\n  web:\n    bind: "127.0.0.1:{port}"\n'
    )
    return [
        head
        + "    routes:\n      - {match: {path: /a/*}, pool: app}\n      - {pool: app}\n"
        + f'pools:\n  app: {{backends: [{{address: "{first}", weight: 3}}]}}\n',
        head
        + "    routes:\n      - {match: {host: b.example, path: /b/*}, pool: app}\n      - {pool: app}\n"
        + f'  extra: {{bind: "127.0.0.1:{extra}", pool: app}}\n'
        + f'pools:\n  app: {{backends: [{{address: "{first}", weight: 1}}, "{second}"]}}\n',
    ]


def _reload(
    subject: Program, count: int, origins: list[str], load_process: "subprocess.Popen[str]"
) -> list[float]:
    config = subject.directory / "fairlead.yaml"
    versions = _versions(subject, origins)
    admin = _Admin(subject.directory / "admin.sock")
    took = []
    version = admin.version()
    for number in range(count):
        if load_process.poll() is not None:
            break
        config.write_text(versions[number % 2])
        began = time.monotonic()
        os.kill(subject.pid, signal.SIGHUP)
        while admin.version() == version:
            time.sleep(0.005)
        version = admin.version()
        took.append(time.monotonic() - began)
        print(f"\rreload {number + 1} of {count}", end="", file=sys.stderr, flush=True)
        time.sleep(GAP_SECONDS)
    print(file=sys.stderr)
    return took
