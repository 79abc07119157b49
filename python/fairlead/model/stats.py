"""What the engine reports about itself: the numbers that the API and the terminal show.

Parsed from the engine's JSON; keys that this version does not know are ignored, since they only ever add.
Counters grow for the life of the engine process; ``_ms`` is milliseconds, ``_bytes`` bytes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BindStats(_Report):
    """One address of a listener: as written, and as it was bound."""

    text: str
    bound: str


class Latency(_Report):
    """Milliseconds, of all there were since the engine's start; ``None`` before the first."""

    p50: float | None = None
    p99: float | None = None
    count: int = 0
    sum: float = 0.0


class DatagramStats(_Report):
    """The datagrams of a UDP listener."""

    received: int = 0
    sent: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    """Those that went no further, by why."""

    moved: int = 0
    """Sessions that went on with another backend."""


class ListenerStats(_Report):
    """A listener; one that a reload removed stays until its connections are gone."""

    name: str
    protocol: str = "http"
    state: Literal["serving", "draining"] = "serving"
    binds: tuple[BindStats, ...] = ()
    deadline_ms: int | None = None
    """Of one that drains: when its last connections are cut, in milliseconds since 1970."""

    connections: int = 0
    accepted: int = 0
    requests: int = 0
    codes: dict[str, int] = Field(default_factory=dict)
    """Answers by class."""

    latency_ms: Latency = Latency()
    """From a request's first byte to its answer's last."""

    incomplete: int = 0
    """Answers that ended before their end: cut, and shown as cut."""

    refused: dict[str, int] = Field(default_factory=dict)
    sessions: dict[str, int] = Field(default_factory=dict)
    """TCP and UDP sessions that are over, by why they ended."""

    spliced_bytes: int = 0
    datagrams: DatagramStats | None = None
    """Of one that had any."""

    @property
    def served(self) -> int:
        """Requests, or sessions where connections are served as a whole, those that aren't over included."""
        return self.requests if self.protocol == "http" else self.accepted - sum(self.refused.values())

    @property
    def failed(self) -> int:
        """Requests that were answered 5xx; sessions that no backend took."""
        return self.codes.get("5xx", 0) if self.protocol == "http" else self.sessions.get("no_backend", 0)


Mode = Literal["none", "drain", "disable"]
"""What an operator wants of a backend: nothing, no new requests, or no requests at all."""


class OperatorStats(_Report):
    """What an operator said of a backend."""

    mode: Mode = "none"
    weight: int | None = None
    """In place of the configured one."""

    deadline_ms: int | None = None
    """When what is open is cut: milliseconds since 1970."""


class LastCheck(_Report):
    """What the last check of a backend found."""

    good: bool
    reason: str
    at_ms: int
    duration_ms: float


class CheckStats(_Report):
    """What came of the checks of a backend."""

    passed: int = 0
    failed: int = 0
    last: LastCheck | None = None


class BackendStats(_Report):
    """A member of a pool; one that left stays until its requests are done."""

    id: str
    address: str
    weight: int = 1
    state: Literal["up", "degraded", "ejected", "down", "unproven", "draining", "disabled"] = "up"
    share: float = 1.0
    """Of its weight, from 0 to 1."""

    reason: str | None = None
    """Why its state is what it is; nothing of one that nobody has judged."""

    check: Literal["up", "down"] | None = None
    """What its check says; nothing before the first result and without a check."""

    checks: CheckStats | None = None
    """Nothing of one without a check."""

    breaker: Literal["closed", "open", "half_open"] = "closed"
    """Its circuit breaker."""

    since_ms: int | None = None
    """Since when it is that: milliseconds since 1970."""

    deadline_ms: int | None = None
    """Of one that drains: when what is open is cut."""

    operator: OperatorStats | None = None
    in_flight: int = 0
    max_in_flight: int | None = None
    """The most of them: what is configured, or what an adaptive limit is now."""

    idle: int = 0
    requests: int = 0
    codes: dict[str, int] = Field(default_factory=dict)
    connects: int = 0
    connect_failures: int = 0
    resets: int = 0
    timeouts: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    datagrams_in: int = 0
    datagrams_out: int = 0
    sessions: dict[str, int] = Field(default_factory=dict)
    """Sessions that are over, by why they ended."""

    latency_ms: Latency = Latency()
    """From sending a request to the head of its answer; of sessions, what connecting took."""


class QueueStats(_Report):
    """Requests that came while every backend was full."""

    waiting: int = 0
    served: int = 0
    """They waited, and got a backend."""

    timed_out: int = 0
    refused: int = 0
    """They found the queue full."""


class HedgeStats(_Report):
    """Second tries beside a first one."""

    sent: int = 0
    won: int = 0
    """Theirs was the first answer."""


class AffinityStats(_Report):
    """What a pool remembers of its clients."""

    entries: int = 0
    """Those among them whose time is over count until somebody needs their place."""

    capacity: int = 0
    evicted: int = 0
    """Those that gave way to others before their time was over."""

    untold: int = 0
    """Changes that other nodes were not told of, because there were too many."""

    store_connected: bool | None = None
    """Of the store in which nodes share this; ``None`` where they don't."""


class PoolStats(_Report):
    """A pool; ``generation`` counts the lists of members it was given.

    ``digest`` stands for what backends are picked by: equal on all nodes that send a key to the same one.
    """

    name: str
    generation: int = 0
    digest: str = ""
    queue: QueueStats | None = None
    """``None`` where nobody waits."""

    hedges: HedgeStats | None = None
    """``None`` while no request may have a second try."""

    backends: tuple[BackendStats, ...] = ()
    affinity: AffinityStats | None = None


class RouteStats(_Report):
    """A route; reported only when asked for, since there may be thousands."""

    id: str
    listener: str = ""
    pool: str = ""
    requests: int = 0
    codes: dict[str, int] = Field(default_factory=dict)


class ConnectionStats(_Report):
    """An open connection of a client."""

    listener: str
    client: str | None = None
    """Address and port; one that came by a Unix socket has none."""

    state: Literal["idle", "request", "backend", "answer", "tunnel"] = "idle"
    """It waits for the next request, sends one, waits for a backend, gets an answer, or is a tunnel."""

    age_seconds: int = 0
    requests: int = 0
    """Tries of its requests: what was sent to backends for it."""

    pool: str | None = None
    backend: str | None = None


class Connected(_Report):
    """Open connections of clients, the longest open first."""

    open: int = 0
    """All there are, listed or not."""

    connections: tuple[ConnectionStats, ...] = ()


class Totals(_Report):
    """Over the whole engine process."""

    requests: int = 0
    codes: dict[str, int] = Field(default_factory=dict)
    connections: int = 0
    access_log_dropped: int = 0
    events_dropped: int = 0
    members_ignored: int = 0
    settings_ignored: int = 0
    panics: int = 0


class EngineStats(_Report):
    """One report of the engine."""

    plan_version: int | None = None
    ready: bool = False
    stopping: bool = False
    started_at_ms: int = 0
    rss_bytes: int = 0
    cpu_seconds: float = 0.0
    open_files: int = 0
    max_connections: int = 0
    plans_alive: int = 0
    listeners: tuple[ListenerStats, ...] = ()
    pools: tuple[PoolStats, ...] = ()
    routes: tuple[RouteStats, ...] = ()
    totals: Totals = Field(default_factory=Totals)

    def generations(self) -> dict[str, int]:
        """The generation of members that each pool has."""
        return {pool.name: pool.generation for pool in self.pools}

    def verdicts(self) -> dict[str, dict[str, bool]]:
        """By pool and backend, whether its check says that it is up.

        Those whose check has said nothing, or who have none, are left out.
        """
        said = {
            pool.name: {one.id: one.check == "up" for one in pool.backends if one.check}
            for pool in self.pools
        }
        return {pool: verdicts for pool, verdicts in said.items() if verdicts}
