"""From the state to the next step. Pure: no clock, no I/O, the same answer for the same state.

The order of the rules is the order of importance: an end that is wanted, an engine that is there, the
operator's word, the configuration it had, the configuration it should have, the members of its pools.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fairlead.control.errors import EngineLost, describe_exit
from fairlead.control.messages import Setting
from fairlead.control.store import Absent, Proposal, Running, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.control.messages import BackendKey, Bound, MemberList, Spec
    from fairlead.errors import FairleadError

BACKOFF_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Pause before the engine is started again, by its deaths in a row: the first restart is immediate."""

STEADY_SECONDS = 60.0
"""An engine that lived so long was well: its death starts the row anew."""


@dataclass(frozen=True, slots=True)
class StartEngine:
    """Start an engine, or adopt the one that lives, after a pause."""

    delay: float


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """Make the engine serve this configuration. ``again``: it was accepted by an engine that is gone."""

    proposal: Proposal
    again: bool


@dataclass(frozen=True, slots=True)
class SendMembers:
    """Give the engine a pool's list."""

    members: MemberList
    generation: int


@dataclass(frozen=True, slots=True)
class SendSetting:
    """Tell the engine what an operator wants of a backend."""

    setting: Setting


@dataclass(frozen=True, slots=True)
class StopEngine:
    """Let the engine drain and end."""

    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """This run can't go on."""

    error: FairleadError


@dataclass(frozen=True, slots=True)
class Finish:
    """All is done: nothing runs and nothing shall."""


Action = StartEngine | ApplyPlan | SendMembers | SendSetting | StopEngine | Fail | Finish


def next_action(state: State) -> Action | None:
    """What to do now; ``None``: all is as it should be until the state changes."""
    match state.engine:
        case Absent() as absent:
            return _without_engine(state, absent)
        case Running() as engine:
            return _with_engine(state, engine)


def after_death(engine: Running | Absent, lived: float, code: int | None) -> Absent:
    """The state after an engine ended unasked. ``lived`` is in seconds."""
    earlier = 0 if lived >= STEADY_SECONDS else engine.deaths
    return Absent(deaths=earlier + 1, code=code)


def pinned(spec: Spec, bound: Bound) -> Spec:
    """The spec with the ports taken for port 0 as hints, so that the next engine takes them again."""
    return {
        **spec,
        "listeners": [_pinned_listener(one, bound.get(one["name"], {})) for one in spec["listeners"]],
    }


def populated(spec: Spec, members: Mapping[str, MemberList]) -> Spec:
    """The spec with what its resolved pools are known to have, so that a new one is never published empty."""
    return {**spec, "pools": [_populated_pool(pool, members) for pool in spec["pools"]]}


def _without_engine(state: State, absent: Absent) -> Action | None:
    if state.stop is not None:
        return Finish()
    if state.accepted is None and absent.deaths:
        # Trying again would hide what is wrong from whoever just typed `run`.
        end = f"the engine process ended before it served the configuration ({describe_exit(absent.code)})"
        return Fail(EngineLost(absent.reason or end))
    return StartEngine(backoff(absent.deaths))


def _with_engine(state: State, engine: Running) -> Action | None:
    if state.stop is not None:
        return None if engine.stopping else StopEngine(state.stop)
    if state.accepted is not None and (setting := _unsaid(state, engine)) is not None:
        # Before the configuration: a new engine must not send a request to who is drained.
        return SendSetting(setting)
    if state.accepted is not None and engine.serving != state.accepted.version:
        return ApplyPlan(state.accepted, again=True)
    if state.proposal is not None:
        return ApplyPlan(state.proposal, again=False)
    return _members(state, state.accepted, engine) if state.accepted is not None else None


def _members(state: State, accepted: Proposal, engine: Running) -> Action | None:
    pools = {pool["name"] for pool in accepted.spec["pools"] if pool["resolved"]}
    for name, members in state.members.items():
        if name in pools and engine.sent.get(name) != members:
            return SendMembers(members, _generation(engine.generations, name))
    return None


def backoff(deaths: int) -> float:
    """Seconds to wait before an engine is started after so many deaths in a row."""
    return BACKOFF_SECONDS[min(max(deaths - 1, 0), len(BACKOFF_SECONDS) - 1)]


def accepted(state: State, proposal: Proposal, bound: Bound) -> Proposal:
    """The proposal as it is kept once the engine serves it."""
    return replace(proposal, spec=pinned(proposal.spec, {**state.bound, **bound}))


def configured(proposal: Proposal, members: Mapping[str, MemberList]) -> dict[str, list[str]]:
    """The ids of the backends of each pool."""
    pools = populated(proposal.spec, members)["pools"]
    return {pool["name"]: [backend["id"] for backend in pool.get("backends", ())] for pool in pools}


def kept(settings: Mapping[BackendKey, Setting], proposal: Proposal) -> dict[BackendKey, Setting]:
    """The settings that a configuration leaves; backends of a resolved pool may come back."""
    pools = {pool["name"]: pool for pool in proposal.spec["pools"]}
    return {
        key: setting
        for key, setting in settings.items()
        if (pool := pools.get(setting.pool)) is not None
        and (pool["resolved"] or any(one["id"] == setting.backend for one in pool.get("backends", ())))
    }


def with_setting(settings: Mapping[BackendKey, Setting], setting: Setting) -> dict[BackendKey, Setting]:
    """The settings with this one in its place."""
    others = {key: one for key, one in settings.items() if key != setting.key}
    return others if setting.is_neutral else {**others, setting.key: setting}


def holds(state: State, setting: Setting) -> bool:
    """Whether the engine was told this setting, or something newer is wanted, or there is nobody to tell."""
    if not isinstance(state.engine, Running) or state.stop is not None:
        return True
    wanted = None if setting.is_neutral else setting
    return state.settings.get(setting.key) != wanted or state.engine.settings.get(setting.key) == wanted


def _unsaid(state: State, engine: Running) -> Setting | None:
    for key, wanted in state.settings.items():
        if engine.settings.get(key) != wanted:
            return wanted
    for pool, backend in engine.settings:
        if (pool, backend) not in state.settings:
            return Setting(pool, backend)
    return None


def _generation(taken: Mapping[str, int], pool: str) -> int:
    return taken.get(pool, 0) + 1


def _pinned_listener(listener: Mapping[str, object], bound: Mapping[str, str]) -> Mapping[str, object]:
    binds = listener["binds"]
    if not isinstance(binds, list):
        return listener
    return {**listener, "binds": [_pinned_bind(bind, bound.get(bind["text"])) for bind in binds]}


def _pinned_bind(bind: Mapping[str, object], address: str | None) -> Mapping[str, object]:
    if address is None or not _takes_any_port(bind["address"]):
        return bind
    return {**bind, "port_hint": int(address.rpartition(":")[2])}


def _populated_pool(pool: Mapping[str, object], members: Mapping[str, MemberList]) -> Mapping[str, object]:
    known = members.get(str(pool["name"]))
    if known is None or not pool["resolved"]:
        return pool
    return {**pool, "backends": [dict(backend) for backend in known.backends]}


def _takes_any_port(address: object) -> bool:
    match address:
        case {"any": {"port": 0}}:
            return True
        case {"ip": {"address": str(text)}}:
            return text.endswith(":0")
        case _:
            return False
