"""Desired and observed state, in one place with one writer.

The state is an immutable value; a change replaces it and wakes who waits. Only `control` writes (`act` what
it observed, `daemon` what is wanted); everybody else is handed snapshots.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fairlead.model.stats import EngineStats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead.control.messages import (
        BackendKey,
        Bound,
        Hello,
        MemberList,
        Setting,
        Spec,
        Verdicts,
    )
    from fairlead.errors import FairleadError

_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A compiled configuration on its way to the engine, or there."""

    number: int
    """Tells proposals apart: versions count only what was accepted."""

    version: int
    spec: Spec
    source: str
    """What it was read from, as the operator wrote it."""

    members: Mapping[str, MemberList] = field(default_factory=lambda: _NONE)
    """What the names in it stood for when it was proposed."""

    secrets: Mapping[str, Any] = field(default_factory=lambda: _NONE, repr=False)
    """The certificates and keys that its listeners ask for."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A proposal the engine did not take, and why."""

    number: int
    error: FairleadError


@dataclass(frozen=True, slots=True)
class Absent:
    """No engine. ``deaths`` in a row decide the pause before the next; the first start has none."""

    deaths: int = 0
    code: int | None = None
    reason: str = ""
    """Why the last one could not even be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An engine that takes calls."""

    hello: Hello
    adopted: bool
    since: float
    """Loop time."""

    serving: int | None
    """The version of its Plan."""

    sent: Mapping[str, MemberList] = field(default_factory=lambda: _NONE)
    """The last list of members that it took for each pool."""

    generations: Mapping[str, int] = field(default_factory=lambda: _NONE)
    """The generation of that list, or of the one an adopted engine had."""

    settings: Mapping[BackendKey, Setting] = field(default_factory=lambda: _NONE)
    """What it was told of an operator's, and holds."""

    stopping: bool = False
    deaths: int = 0
    """Of the engines before it, in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything control knows. The upper half is wanted, the lower half is so."""

    proposal: Proposal | None = None
    members: Mapping[str, MemberList] = field(default_factory=lambda: _NONE)
    settings: Mapping[BackendKey, Setting] = field(default_factory=lambda: _NONE)
    """What an operator wants of backends, where that is something."""

    stop: float | None = None
    """Seconds that open requests get, once a stop is wanted."""

    accepted: Proposal | None = None
    accepted_at_ms: int = 0
    refusal: Refusal | None = None
    engine: Absent | Running = Absent()
    restarts: int = 0
    bound: Bound = field(default_factory=lambda: _NONE)
    admin: tuple[str, ...] = ()
    stats: EngineStats = field(default_factory=EngineStats)
    verdicts: Verdicts = field(default_factory=lambda: _NONE)
    """What checks said in the last engine that died."""

    failure: FairleadError | None = None
    """Why this run can't go on."""

    def outcome(self, number: int) -> bool:
        """Whether the proposal with this number is decided, or never will be."""
        undecided = self.proposal is not None and self.proposal.number == number
        return not undecided or self.stop is not None or self.failure is not None

    @property
    def ready(self) -> bool:
        """Whether the engine serves the accepted configuration and says that it is ready."""
        return (
            isinstance(self.engine, Running)
            and self.accepted is not None
            and self.engine.serving == self.accepted.version
            and self.stats.plan_version == self.engine.serving
            and self.stats.ready
        )


class Store:
    """Holds the state; a change is one assignment, seen whole or not at all."""

    def __init__(self, state: State | None = None) -> None:
        self._state = state or State()
        self._changed = asyncio.Event()

    @property
    def state(self) -> State:
        """The present state; it never changes under its reader."""
        return self._state

    def update(self, **changes: Any) -> State:  # noqa: ANN401 - the fields of State, checked by replace
        """Replace fields of the state and wake who waits for a change."""
        self._state = replace(self._state, **changes)
        self._changed.set()
        self._changed = asyncio.Event()
        return self._state

    def observe_engine(self, **changes: Any) -> None:  # noqa: ANN401 - as above, of Running
        """Replace fields of the running engine; nothing if it is gone by now."""
        if isinstance(self._state.engine, Running):
            self.update(engine=replace(self._state.engine, **changes))

    async def until(self, holds: Callable[[State], bool]) -> State:
        """Wait for a state of which ``holds`` is true, and return it."""
        while not holds(self._state):
            await self._changed.wait()
        return self._state
