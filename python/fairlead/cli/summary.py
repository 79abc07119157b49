"""What `run` and `proxy` say once they serve: where, before whom, and how to go on."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from fairlead.model import PoolListener, SniListener, algorithm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fairlead.model import Configuration, Listener, Pool
    from fairlead.model.status import Status

_MOST = 12
"""Lines of a kind: a summary of two thousand pools is none."""


def summary(status: Status, configuration: Configuration) -> str:
    """A few lines for a person."""
    plan, engine = status.plan, status.engine
    source = plan.source if plan else "nothing"
    workers = engine.workers if engine else 0
    lines = [f"Fairlead {status.version} serves {source} with {workers} worker{'s' * (workers != 1)}"]
    lines += _rows("listener", _listeners(status, configuration))
    lines += _rows("pool", _pools(configuration))
    lines += _rows("admin", ((_url(address), "") for address in status.admin))
    lines += _rows("reload", [(f"kill -HUP {status.pid}", f"or: fairlead reload --admin {status.directory}")])
    lines += _rows("stop", [(f"kill {status.pid}", "or Ctrl-C: drains; a second one ends at once")])
    return "\n".join(lines)


def _rows(kind: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    rows = list(rows)
    width = max((len(first) for first, _ in islice(rows, _MOST)), default=0)
    for first, second in islice(rows, _MOST):
        yield f"  {kind:<9} {first:<{width}}  {second}".rstrip()
    if len(rows) > _MOST:
        yield f"  {'':<9} and {len(rows) - _MOST} more"


def _listeners(status: Status, configuration: Configuration) -> Iterator[tuple[str, str]]:
    for listener in status.listeners:
        wanted = configuration.listeners.get(listener.name)
        if wanted is None:
            continue
        for bind in listener.binds:
            bound = _url(bind.bound) if wanted.protocol == "http" else bind.bound
            yield f"{listener.name} on {bound}", f"→ {_leads_to(wanted)}"


def _leads_to(listener: Listener) -> str:
    if isinstance(listener, PoolListener):
        return listener.pool
    if isinstance(listener, SniListener):
        return f"{len(listener.sni)} names"
    return f"{len(listener.routes)} routes"


def _pools(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for name, pool in configuration.pools.items():
        yield f"{name}, {algorithm.name(pool.algorithm)}", f"→ {_backends(pool)}"


def _backends(pool: Pool) -> str:
    shown = [
        f"{backend.id}{f' ×{backend.weight}' if backend.weight != 1 else ''}"  # noqa: RUF001 - a weight
        for backend in pool.backends[:_MOST]
    ]
    more = len(pool.backends) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _url(address: str) -> str:
    """As it can be opened: every address of the machine is shown as the local one."""
    if address.startswith(("/", "unix:")):
        return address
    host, _, port = address.rpartition(":")
    if host in {"0.0.0.0", "[::]", ""}:  # noqa: S104 - read, not bound
        host = "localhost"
    return f"http://{host}:{port}"
