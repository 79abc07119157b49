"""Certificates whose files change go to the engine without a reload.

Renewing is done by programs that know nothing of us: they write new files. They are looked at each second, by
what the system says of them (which file, its size, when it was written), so that any filesystem will do.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from fairlead.control.errors import EngineFault, EngineLost, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from fairlead.compile import Accepted
    from fairlead.control.events import EventLog
    from fairlead.control.store import Store

    Stamps = dict[Path, tuple[int, int, int] | None]

_SECONDS = 1.0

_log = structlog.get_logger("fairlead.control")


class Renewal:
    """Watches the files of the certificates that the accepted configuration names."""

    def __init__(
        self,
        store: Store,
        give: Callable[[Mapping[str, Any]], Awaitable[None]],
        events: EventLog,
        changing: asyncio.Lock,
    ) -> None:
        self._store = store
        self._give = give
        self._events = events
        self._changing = changing
        self._files: dict[tuple[str, str, str], Path] = {}
        self._stamps: Stamps = {}

    def use(self, accepted: Accepted) -> None:
        """Watch the files of this configuration.

        They are read once more at the next look: they may have changed since they were.
        """
        self._files = {
            (str(path[0]), str(path[1]), str(path[-1])): file
            for path, file in accepted.secret_files.items()
            if path[0] == "certificates" or (path[0] == "pools" and path[-1] == "ca")
        }
        self._stamps = {}

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            stamps = await asyncio.to_thread(self._look)
            if stamps != self._stamps:
                self._stamps = stamps
                async with self._changing:
                    await self._renew()

    def _look(self) -> Stamps:
        return {file: _stamp(file) for file in self._files.values()}

    async def _renew(self) -> None:
        accepted = self._store.state.accepted
        if accepted is None:
            return
        secrets = copy.deepcopy(dict(accepted.secrets))
        try:
            for (kind, name, part), file in self._files.items():
                # Nobody looks at the authorities of a pool that verifies nothing.
                if name in secrets[kind]:
                    secrets[kind][name][part] = await asyncio.to_thread(file.read_text)
            if secrets == accepted.secrets:
                return
            await self._give(secrets)
        except (OSError, UnicodeDecodeError, Refused, EngineFault) as error:
            # Its other half may still be on its way: then the next look finds another change.
            _log.warning("renewed certificates not taken, those before stay", reason=str(error))
            self._events.append("certificates_refused", {"reason": str(error)})
        except EngineLost:
            # The next engine gets what was accepted, and then this.
            self._stamps = {}
        else:
            self._store.update(accepted=replace(accepted, secrets=secrets))
            names = sorted({name for kind, name, _ in self._files if kind == "certificates"})
            pools = sorted({name for kind, name, _ in self._files if kind == "pools"})
            _log.info("certificates renewed", certificates=names, pools=pools)
            self._events.append("certificates_renewed", {"certificates": names, "pools": pools})


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
