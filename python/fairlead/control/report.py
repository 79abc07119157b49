"""From the state to the document that everybody outside reads. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.control.store import Running, State
from fairlead.model.status import BackendDetail, EngineStatus, Phase, PlanStatus, ReloadStatus, Status

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.control.messages import BackendKey
    from fairlead.model import Configuration
    from fairlead.model.event import Event


def status(state: State, *, version: str, pid: int, directory: Path, reload: ReloadStatus | None) -> Status:
    """The whole state; numbers are the engine's last ones, none while there is no engine."""
    engine = _engine(state)
    stats = state.stats if engine is not None else type(state.stats)()
    return Status(
        version=version,
        pid=pid,
        phase=phase(state),
        ready=state.ready,
        directory=str(directory),
        admin=(str(directory / "admin.sock"), *state.admin),
        plan_version=state.engine.serving if isinstance(state.engine, Running) else None,
        plans_alive=stats.plans_alive,
        plan=_plan(state),
        engine=engine,
        reload=reload,
        listeners=stats.listeners,
        pools=stats.pools,
        totals=stats.totals,
    )


def backend(
    state: State, configuration: Configuration, key: BackendKey, events: tuple[Event, ...]
) -> BackendDetail | None:
    """Everything that is known of one backend; nothing of one that the engine doesn't know."""
    pool, identity = key
    found = next(
        (
            one
            for served in state.stats.pools
            if served.name == pool
            for one in served.backends
            if one.id == identity
        ),
        None,
    )
    if found is None or not isinstance(state.engine, Running):
        return None
    wanted = configuration.pools.get(pool)
    written = None
    if wanted is not None:
        # One that came by a name has the address that the name stands for behind its own.
        ids = {identity, identity.rpartition("@")[0]}
        written = next((one for one in wanted.backends if one.id in ids), None)
    return BackendDetail(
        **found.model_dump(),
        pool=pool,
        algorithm=wanted.model_dump(mode="json", include={"algorithm"})["algorithm"] if wanted else None,
        configured=written.model_dump(mode="json") if written else None,
        events=events,
    )


def phase(state: State) -> Phase:
    """In one word."""
    if state.stop is not None:
        return "stopping"
    if state.accepted is None:
        return "starting"
    return "serving" if isinstance(state.engine, Running) and state.engine.serving else "restarting"


def _plan(state: State) -> PlanStatus | None:
    if state.accepted is None:
        return None
    return PlanStatus(
        version=state.accepted.version, source=state.accepted.source, accepted_at_ms=state.accepted_at_ms
    )


def _engine(state: State) -> EngineStatus | None:
    if not isinstance(state.engine, Running):
        return None
    hello, stats = state.engine.hello, state.stats
    return EngineStatus(
        pid=hello.pid,
        version=hello.version,
        workers=hello.workers,
        adopted=state.engine.adopted,
        restarts=state.restarts,
        started_at_ms=stats.started_at_ms,
        rss_bytes=stats.rss_bytes,
        cpu_seconds=stats.cpu_seconds,
        open_files=stats.open_files,
    )
