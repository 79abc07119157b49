"""An engine inside this process, by a configuration as a file would have it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead.compile import secrets, spec
from fairlead.control.host import Host, LocalHost
from fairlead.control.messages import Settings
from fairlead.model import Configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fairlead.control.messages import Applied
    from fairlead.model.stats import EngineStats


@dataclass(slots=True)
class RunningEngine:
    """An engine that serves."""

    host: Host
    applied: Applied

    def address(self, listener: str) -> str:
        """Where a listener is bound, the first of its binds: ``127.0.0.1:40123``."""
        return next(iter(self.applied.bound[listener].values()))

    async def reload(self, configuration: Mapping[str, Any]) -> None:
        """Serve another configuration; raises what the engine has against it."""
        self.applied = await _apply(self.host, configuration, self.applied.version + 1)

    async def stats(self) -> EngineStats:
        """What the engine counts now."""
        return await self.host.stats()


@asynccontextmanager
async def engine(configuration: Mapping[str, Any], *, workers: int = 1) -> AsyncIterator[RunningEngine]:
    """Serve a configuration until the block ends; literal backends only."""
    host = LocalHost(Settings(directory=None, workers=workers))
    await host.start()
    try:
        yield RunningEngine(host, await _apply(host, configuration, 1))
    finally:
        await host.release()


async def _apply(host: Host, configuration: Mapping[str, Any], version: int) -> Applied:
    model = Configuration.model_validate(configuration)
    if any((wanted := secrets(model)).values()):
        await host.secrets(wanted)
    return await host.apply(spec(model, version=version))
