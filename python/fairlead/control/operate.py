"""What an operator wants of backends: checked, kept in the store, waited for until the engine holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fairlead.config.suggestion import suggestion
from fairlead.control import reconcile
from fairlead.control.errors import EngineLost
from fairlead.control.messages import Setting
from fairlead.control.store import Running
from fairlead.errors import NotFound
from fairlead.model.status import Operated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fairlead.control.store import Store
    from fairlead.model.stats import BackendStats, Mode


class Operators:
    """Takes what operators say."""

    def __init__(self, store: Store, refresh: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._refresh = refresh

    async def stand(self, pool: str, backend: str, mode: Mode) -> Operated:
        """Drain or disable a backend, or take that back."""
        return await self._set(replace(self._setting(pool, backend), mode=mode))

    async def weigh(self, pool: str, backend: str, weight: int | None) -> Operated:
        """Give a backend another weight, or the configured one."""
        return await self._set(replace(self._setting(pool, backend), weight=weight))

    def _setting(self, pool: str, backend: str) -> Setting:
        """What holds for a backend now; raises `NotFound` if there is none of that name."""
        state = self._store.state
        pools = reconcile.configured(state.accepted, state.members) if state.accepted else {}
        if pool not in pools:
            message = f"there is no pool {pool!r}{suggestion(pool, pools)}"
            raise NotFound(message)
        if backend not in pools[pool]:
            near = suggestion(backend, pools[pool])
            message = f"there is no backend {backend!r} in the pool {pool!r}{near}"
            raise NotFound(message)
        return state.settings.get((pool, backend), Setting(pool, backend))

    async def _set(self, setting: Setting) -> Operated:
        if not isinstance(self._store.state.engine, Running):
            raise EngineLost
        settings = reconcile.with_setting(self._store.state.settings, setting)
        self._store.update(settings=settings)
        await self._store.until(lambda state: reconcile.holds(state, setting))
        await self._refresh()
        found = self._stats(setting)
        if found is None:
            message = f"the backend {setting.backend!r} has just left the pool {setting.pool!r}"
            raise NotFound(message)
        return Operated(
            pool=setting.pool,
            backend=found.id,
            state=found.state,
            weight=found.weight,
            open=found.in_flight,
            deadline_ms=found.operator.deadline_ms if found.operator else None,
        )

    def _stats(self, setting: Setting) -> BackendStats | None:
        for pool in self._store.state.stats.pools:
            for backend in pool.backends:
                if (pool.name, backend.id) == setting.key:
                    return backend
        return None
