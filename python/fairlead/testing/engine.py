"""An engine inside this process, by a configuration as a file would have it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead.compile import spec
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
        self.applied = await self.host.apply(_spec(configuration, self.applied.version + 1))

    async def stats(self) -> EngineStats:
        """What the engine counts now."""
        return await self.host.stats()


@asynccontextmanager
async def engine(configuration: Mapping[str, Any], *, workers: int = 1) -> AsyncIterator[RunningEngine]:
    """Serve a configuration until the block ends; literal backends only."""
    host = LocalHost(Settings(directory=None, workers=workers))
    await host.start()
    try:
        yield RunningEngine(host, await host.apply(_spec(configuration, 1)))
    finally:
        await host.release()


def _spec(configuration: Mapping[str, Any], version: int) -> dict[str, Any]:
    return spec(Configuration.model_validate(configuration), version=version)
