"""The state of a running Fairlead as everybody outside ``control`` sees it.

One immutable document, ``GET /api/v1/status``.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fairlead.model.event import Event
from fairlead.model.stats import BackendStats, ListenerStats, PoolStats, Totals

Phase = Literal["starting", "serving", "restarting", "stopping"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Problem(_Document):
    """One thing wrong with a configuration, as it is shown: where, and what."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class PlanStatus(_Document):
    """The configuration that serves."""

    version: int
    source: str
    accepted_at_ms: int


class EngineStatus(_Document):
    """The engine process; ``restarts`` counts those that control had to start after a death."""

    pid: int
    version: str
    workers: int
    adopted: bool
    restarts: int
    started_at_ms: int = 0
    rss_bytes: int = 0
    cpu_seconds: float = 0.0
    open_files: int = 0


class ReloadStatus(_Document):
    """The last reload: what was wrong with it, or nothing."""

    accepted: bool
    at_ms: int
    problems: tuple[Problem, ...] = ()


class Status(_Document):
    """Everything ``fairlead status`` shows."""

    version: str
    pid: int
    phase: Phase
    ready: bool
    directory: str
    admin: tuple[str, ...]
    plan_version: int | None
    """What the engine serves now; differs from ``plan`` only while it is being restarted."""

    plans_alive: int
    """Old ones live as long as a request does that began with them."""

    plan: PlanStatus | None
    engine: EngineStatus | None
    reload: ReloadStatus | None
    listeners: tuple[ListenerStats, ...] = ()
    pools: tuple[PoolStats, ...] = ()
    totals: Totals = Totals()


class BackendDetail(BackendStats):
    """Everything that is known of one backend."""

    pool: str
    algorithm: str | None = None
    """By what its pool picks."""

    configured: dict[str, Any] | None = None
    """As it is written; nothing of one that left the configuration."""

    events: tuple[Event, ...] = ()
    """What happened to it, as far as that is kept."""


class Operated(_Document):
    """A backend after what an operator did to it."""

    pool: str
    backend: str
    state: str
    weight: int
    open: int
    """Requests and tunnels that it still has."""

    deadline_ms: int | None = None
    """When they are cut: milliseconds since 1970."""


class ReloadResult(_Document):
    """The outcome of a request to reload."""

    accepted: bool
    plan_version: int | None
    needs_restart: bool = False
    problems: tuple[Problem, ...] = ()
