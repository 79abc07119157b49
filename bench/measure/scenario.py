"""A scenario is a file in `bench/scenarios`; adding one is adding a file."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Scenario:
    """What is sent, how fast, and the bars that the outcome is held against.

    Attributes:
        kind: `request` (CPU a request beside the peers), `flow` (CPU a GiB of one session), `two_workers`,
            `idle`, `reload` or `pick`.
        mode: `http`, or `tcp`: the same requests through programs that don't read them.
        bar: highest ratio to the best peer's CPU for the same work.
        own_bar: highest ratio to another figure of our own.
        excess_bar: highest ratio to the best peer's CPU beyond the bare relay's.
        rate: requests a second, open loop.
    """

    name: str
    title: str
    kind: str = "request"
    mode: str = "http"
    bar: float | None = None
    own_bar: float | None = None
    excess_bar: float | None = None
    reuse_bar: float | None = None
    rate: int = 10_000
    connections: int = 64
    close: bool = False
    path: str = "/"
    post: int = 0
    large_bodies: bool = False
    flow_bytes: int = 0
    count_calls: bool = False
    routes: int = 0
    hosts: int = 0
    idle_connections: int = 0
    burst_connections: int = 0
    idle_bar_bytes: int = 0
    burst_bar: float = 0.0
    reloads: int = 0
    bars_ns: dict[str, int] = field(default_factory=dict)
    bars_build_ms: dict[str, int] = field(default_factory=dict)

    def targets(self) -> list[tuple[str, str]]:
        """The (host, path) pairs of a scenario with many routes."""
        per_host = self.routes // self.hosts if self.hosts else 0
        return [(f"h{h}.example", f"/p{p}") for h in range(self.hosts) for p in range(per_host)]


def read(folder: Path, names: list[str]) -> list[Scenario]:
    """The scenarios named, or all; small before the rest, since others refer to it."""
    paths = sorted(folder.glob("*.toml"), key=lambda path: (path.stem != "h1-small", path.stem))
    found = [Scenario(**tomllib.loads(path.read_text())) for path in paths]
    unknown = set(names) - {scenario.name for scenario in found}
    if unknown:
        known = ", ".join(scenario.name for scenario in found)
        message = f"no scenario {', '.join(sorted(unknown))}: there are {known}"
        raise SystemExit(message)
    return [scenario for scenario in found if not names or scenario.name in names]
