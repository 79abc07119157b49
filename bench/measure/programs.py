"""Starts the programs that are measured, each on one core, with its best honest settings."""

import os
import shutil
import socket
import string
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import cpu
from measure.scenario import Scenario

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
LOADER = Path(os.environ.get("FAIRLEAD_LOAD", ROOT / "target" / "release" / "fairlead-load"))
BIN = ROOT / ".venv" / "bin"
PROXY_CORE = "0"
OTHER_CORE = "1"


@dataclass
class Program:
    """A running program: where it listens and which processes it is."""

    name: str
    address: str
    pid: int
    directory: Path

    def pids(self) -> list[int]:
        """Its whole tree, as it is now."""
        engine = self.directory / "engine.pid"
        pids = cpu.tree(self.pid)
        if engine.exists():
            pids += [pid for pid in cpu.tree(int(engine.read_text())) if pid not in pids]
        return pids


def free_port() -> int:
    """A port that was free a moment ago; the programs under test take numbers only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_answer(address: str, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Returns once an HTTP request is answered; fails loudly when the program ended or never does."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            message = f"{process.args!r} ended with {process.returncode} before it answered"
            raise RuntimeError(message)
        try:
            with socket.create_connection((host, int(port)), timeout=2) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nHost: h0.example\r\nConnection: close\r\n\r\n")
                if stream.recv(12).startswith(b"HTTP/1.1"):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    message = f"{address} did not answer within {seconds} s"
    raise RuntimeError(message)


@contextmanager
def running(command: list[str], core: str | None, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to a core; ended on exit."""
    pinned = ["taskset", "-c", core, *command] if core else command
    process = subprocess.Popen(pinned, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def origin(core: str = OTHER_CORE, arguments: tuple[str, ...] = ()) -> Iterator[str]:
    """The server behind all; yields its address."""
    command = [str(LOADER), "origin", "127.0.0.1:0", *arguments]
    with running(command, core, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise AssertionError
        yield process.stdout.readline().decode().split()[1]


# Of nginx, for what is small and for what is large.
BUFFERS = {"http": ("8k", "64k"), "tcp": ("4k", "256k")}
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
"""Where Debian has it; elsewhere it is built in."""


def _render(scenario: Scenario, template: str, values: dict[str, object], target: Path) -> Path:
    if scenario.mode != "http":
        template = f"{scenario.mode}/{template}"
    target.write_text(string.Template((BENCH / "peers" / template).read_text()).substitute(values))
    return target


def _nginx(scenario: Scenario, values: dict[str, object], directory: Path) -> list[str]:
    listen = f"127.0.0.1:{values['port']}"
    targets = scenario.targets()
    if targets:
        by_host: dict[str, list[str]] = {}
        for host, path in targets:
            by_host.setdefault(host, []).append(f"location {path} {{ proxy_pass http://app; }}")
        servers = [
            f"server {{ listen {listen}; server_name {host}; {' '.join(locations)} }}"
            for host, locations in by_host.items()
        ]
        servers.append(f"server {{ listen {listen} default_server backlog=4096; return 404; }}")
    else:
        servers = [f"server {{ listen {listen} backlog=4096; location / {{ proxy_pass http://app; }} }}"]
    modules = f"load_module {NGINX_STREAM};" if scenario.mode == "tcp" and NGINX_STREAM.exists() else ""
    values |= {
        "modules": modules,
        "servers": "\n".join(servers),
        # Of what was tried in each mode the one that costs it least.
        "buffer": BUFFERS[scenario.mode][scenario.large_bodies],
    }
    config = _render(scenario, "nginx.conf", values, directory / "nginx.conf")
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config), "-p", str(directory)]


def _haproxy(scenario: Scenario, values: dict[str, object], directory: Path) -> list[str]:
    routes = ""
    if scenario.routes:
        routing = directory / "routes.map"
        routing.write_text("".join(f"{host}{path} app\n" for host, path in scenario.targets()))
        routes = f"  use_backend %[base,map_beg({routing},app)]"
    splice = "  option splice-request\n  option splice-response" if scenario.large_bodies else ""
    values |= {
        "routes": routes,
        "bufsize": 65536 if scenario.large_bodies else 16384,
        "splice": splice,
    }
    config = _render(scenario, "haproxy.cfg", values, directory / "haproxy.cfg")
    return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", str(config)]


def _envoy(scenario: Scenario, values: dict[str, object], directory: Path) -> list[str]:
    by_host: dict[str, list[str]] = {}
    for host, path in scenario.targets() or [("*", "/")]:
        by_host.setdefault(host, []).append(f'{{match: {{prefix: "{path}"}}, route: {{cluster: app}}}}')
    values["hosts"] = "\n".join(
        f'            - {{name: "{host}", domains: ["{host}"], routes: [{", ".join(routes)}]}}'
        for host, routes in by_host.items()
    )
    config = _render(scenario, "envoy.yaml", values, directory / "envoy.yaml")
    envoy = [str(BIN / "envoy"), "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"]
    return [*envoy, "-l", "critical"]


def _fairlead(scenario: Scenario, values: dict[str, object], directory: Path) -> list[str]:
    routes = [f"      - {{match: {{host: {h}, path: {p}/*}}, pool: app}}" for h, p in scenario.targets()]
    values["routes"] = "\n".join(["    routes:", *routes]) if routes else "    pool: app"
    config = _render(scenario, "fairlead.yaml", values, directory / "fairlead.yaml")
    return [str(BIN / "fairlead"), "run", str(config)]


COMMANDS = {"nginx": _nginx, "haproxy": _haproxy, "envoy": _envoy, "fairlead": _fairlead}


@contextmanager
def program(
    name: str,
    scenario: Scenario,
    origin_address: str,
    directory: Path,
    core: str | None = PROXY_CORE,
    workers: int = 1,
) -> Iterator[Program]:
    """The program of this name before the origin, answering."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    values: dict[str, object] = {
        "port": port,
        "origin": origin_address,
        "origin_port": origin_address.rpartition(":")[2],
        "directory": directory,
        "workers": workers,
    }
    address = f"127.0.0.1:{port}"
    if name == "relay":
        command = [str(LOADER), "relay", address, origin_address]
    else:
        command = COMMANDS[name](scenario, values, directory)
    with (directory / "output").open("wb") as output, ExitStack() as stack:
        process = stack.enter_context(running(command, core, stdout=output, stderr=output))
        try:
            await_answer(address, process)
        except RuntimeError as fault:
            message = f"{name}: {fault}\n{(directory / 'output').read_text()[-2000:]}"
            raise RuntimeError(message) from fault
        yield Program(name, address, process.pid, directory)
