"""From two reports to what went on between them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead.cli import cells

if TYPE_CHECKING:
    from fairlead.model.stats import BackendStats, Latency, ListenerStats
    from fairlead.model.status import EngineStatus, Status


@dataclass(frozen=True, slots=True)
class Sample:
    """A report and when it was read, in seconds of a clock that only goes forward."""

    status: Status
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Requests, or TCP sessions, over a stretch of time."""

    requests_per_second: float
    errors_per_second: float
    """Of listeners: 5xx, answers that were cut, sessions that no backend took. Of backends: 5xx, refused,
    reset, timed out."""

    mean_ms: float | None
    """Of the answers in this time; nothing if there were none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRow:
    """One listener."""

    listener: str
    state: str
    connections: int
    flow: Flow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRow:
    """One backend."""

    pool: str
    backend: str
    state: str
    why: str
    weight: str
    active: int
    share: float | None
    """Of its pool's requests in this time, 0 to 1."""

    flow: Flow | None
    is_unwell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Everything `top` shows. Without a report before, nothing flows yet."""

    seconds: float | None
    cpu: float | None
    """Of the engine: 1 is one core."""

    rss_bytes: int
    connections: int
    flow: Flow | None
    """Of all listeners."""

    listeners: tuple[ListenerRow, ...]
    backends: tuple[BackendRow, ...]


def between(before: Sample | None, after: Sample, now_ms: int) -> Rates:
    """What went on between two reports of the same engine; of another engine's there is no before."""
    engine = after.status.engine
    if before is not None and not _same(before.status.engine, engine):
        before = None
    seconds = max(after.at - before.at, 0.001) if before else None
    rows = tuple(_listeners(before, after, seconds))
    return Rates(
        seconds=seconds,
        cpu=_cpu(before, engine, seconds),
        rss_bytes=engine.rss_bytes if engine else 0,
        connections=after.status.totals.connections,
        flow=_all([row.flow for row in rows if row.flow is not None]) if seconds else None,
        listeners=rows,
        backends=tuple(_backends(before, after, seconds, now_ms)),
    )


def _same(one: EngineStatus | None, other: EngineStatus | None) -> bool:
    return one is not None and other is not None and one.started_at_ms == other.started_at_ms


def _cpu(before: Sample | None, engine: EngineStatus | None, seconds: float | None) -> float | None:
    if before is None or before.status.engine is None or engine is None or seconds is None:
        return None
    return max(engine.cpu_seconds - before.status.engine.cpu_seconds, 0.0) / seconds


def _listeners(before: Sample | None, after: Sample, seconds: float | None) -> list[ListenerRow]:
    known = {one.name: one for one in before.status.listeners} if before else {}
    return [
        ListenerRow(
            listener=one.name,
            state=one.state,
            connections=one.connections,
            flow=_flow(_of_listener(known.get(one.name)), _of_listener(one), seconds),
        )
        for one in after.status.listeners
    ]


def _backends(before: Sample | None, after: Sample, seconds: float | None, now_ms: int) -> list[BackendRow]:
    known = {
        (pool.name, one.id): one for pool in (before.status.pools if before else ()) for one in pool.backends
    }
    rows = []
    for pool in after.status.pools:
        flows = [
            _flow(_of_backend(known.get((pool.name, one.id))), _of_backend(one), seconds)
            for one in pool.backends
        ]
        everything = sum(flow.requests_per_second for flow in flows if flow)
        rows += [
            BackendRow(
                pool=pool.name,
                backend=one.id,
                state=one.state,
                why=cells.why(one, now_ms),
                weight=cells.weight(one),
                active=one.in_flight,
                share=flow.requests_per_second / everything if flow and everything else None,
                flow=flow,
                is_unwell=cells.is_unwell(one),
            )
            for one, flow in zip(pool.backends, flows, strict=True)
        ]
    return rows


@dataclass(frozen=True, slots=True)
class _Counts:
    requests: int = 0
    errors: int = 0
    answers: int = 0
    sum_ms: float = 0.0


def _of_listener(stats: ListenerStats | None) -> _Counts:
    if stats is None:
        return _Counts()
    return _Counts(stats.served, stats.failed + stats.incomplete, *_times(stats.latency_ms))


def _of_backend(stats: BackendStats | None) -> _Counts:
    if stats is None:
        return _Counts()
    errors = stats.codes.get("5xx", 0) + cells.failures(stats)
    return _Counts(stats.requests, errors, *_times(stats.latency_ms))


def _times(latency: Latency) -> tuple[int, float]:
    return latency.count, latency.sum


def _flow(before: _Counts, after: _Counts, seconds: float | None) -> Flow | None:
    if seconds is None:
        return None
    # A backend that left and came back under its id counts anew.
    if after.requests < before.requests:
        before = _Counts()
    answers = after.answers - before.answers
    return Flow(
        requests_per_second=(after.requests - before.requests) / seconds,
        errors_per_second=max(after.errors - before.errors, 0) / seconds,
        mean_ms=(after.sum_ms - before.sum_ms) / answers if answers > 0 else None,
    )


def _all(flows: list[Flow]) -> Flow:
    requests = sum(flow.requests_per_second for flow in flows)
    timed = [(flow.mean_ms, flow.requests_per_second) for flow in flows if flow.mean_ms is not None]
    weights = sum(weight for _, weight in timed)
    return Flow(
        requests_per_second=requests,
        errors_per_second=sum(flow.errors_per_second for flow in flows),
        mean_ms=sum(mean * weight for mean, weight in timed) / weights if weights else None,
    )
