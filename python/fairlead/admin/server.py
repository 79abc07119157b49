"""The API's operations and their server: aiohttp on a Unix socket."""

from __future__ import annotations

import ipaddress
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlead.admin import openapi
from fairlead.admin.access import Denied, Policy, decide
from fairlead.admin.openapi import Operation
from fairlead.admin.stream import Streams
from fairlead.errors import FairleadError, NotFound
from fairlead.model.event import Event
from fairlead.model.stats import Connected, EngineStats, PoolStats
from fairlead.model.status import BackendDetail, Operated, ReloadResult, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.typedefs import Handler, Middleware

    from fairlead.admin.stream import Reader
    from fairlead.model.stats import Mode

SOCKET = "control.sock"

_log = structlog.get_logger("fairlead.admin")


class Backend(Protocol):
    """What the API stands on: snapshots to read, intents to submit."""

    def status(self) -> Status:
        """The state as it is now."""

    async def refresh(self) -> None:
        """Have the engine's counts in `status` be those of this moment, if there is an engine."""

    async def stats(self) -> EngineStats:
        """The engine's counts at this moment, routes included; raises `FairleadError` if there is none."""

    async def connections(self, limit: int, listener: str | None, client: str | None) -> Connected:
        """Who is connected at this moment; raises `FairleadError` if there is no engine."""

    def events(self, last: str | None) -> Reader:
        """Events from behind the one with this id, or from now on."""

    def backend(self, pool: str, backend: str) -> BackendDetail | None:
        """Everything that is known of one backend."""

    def configuration(self) -> dict[str, Any]:
        """The configuration that was accepted last, without its secrets."""

    async def reload(self) -> ReloadResult:
        """Read the configuration again and serve it if it can be served."""

    async def stand(self, pool: str, backend: str, mode: Mode) -> Operated:
        """Drain or disable a backend, or take that back; raises `NotFound` if there is none of that name."""

    async def weigh(self, pool: str, backend: str, weight: int | None) -> Operated:
        """Give a backend another weight, or the configured one; raises `NotFound` as above."""


class Weight(BaseModel):
    """The body of a change of weight; ``null`` is the configured one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    weight: int | None = Field(ge=0, le=65_535)


_LISTED = 100
_MOST_LISTED = 1000
"""Of connections; the engine lists no more."""

_BACKEND = "/pools/{pool}/backends/{backend}"
_MODES: dict[str, Mode] = {"drain": "drain", "undrain": "none", "disable": "disable", "enable": "none"}

OPERATIONS = (
    Operation("GET", "/status", "The whole state", Status),
    Operation("GET", "/listeners", "The listeners and their connections"),
    Operation("GET", "/pools", "The pools and their backends"),
    Operation("GET", "/pools/{pool}", "One pool", PoolStats),
    Operation("GET", _BACKEND, "Everything that is known of one backend", BackendDetail),
    Operation("GET", "/routes", "The routes of every listener and their counts"),
    Operation(
        "GET",
        "/connections",
        "Open connections of clients, the longest open first",
        Connected,
        query={
            "limit": "How many at the most: 100, or up to 1000.",
            "listener": "Only those of this listener.",
            "client": "Only those from this IP address.",
        },
    ),
    Operation(
        "GET",
        "/events",
        "What happens, as server-sent events; Last-Event-ID goes on behind an event",
        Event,
        media="text/event-stream",
    ),
    Operation("GET", "/stats", "The engine's counts at this moment, routes included", EngineStats),
    Operation("GET", "/config", "The configuration that serves, without its secrets"),
    Operation("POST", f"{_BACKEND}/drain", "Give it no new requests; what it has may finish", Operated),
    Operation("POST", f"{_BACKEND}/undrain", "Take a drain back", Operated),
    Operation("POST", f"{_BACKEND}/disable", "Give it no new requests and cut what it has", Operated),
    Operation("POST", f"{_BACKEND}/enable", "Take a disable back", Operated),
    Operation("POST", f"{_BACKEND}/weight", "Change its share until told otherwise", Operated, Weight),
    Operation("POST", "/config/reload", "Read the configuration file again", ReloadResult),
    Operation("GET", "/openapi.json", "This description"),
)


def application(backend: Backend, policy: Policy) -> web.Application:
    """The API as an aiohttp application."""
    operations = _Operations(backend)
    app = web.Application(middlewares=[_errors_as_json, _guard(policy)])
    handlers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
        "GET /status": operations.status,
        "GET /listeners": operations.listeners,
        "GET /pools": operations.pools,
        "GET /pools/{pool}": operations.pool,
        f"GET {_BACKEND}": operations.backend,
        "GET /routes": operations.routes,
        "GET /connections": operations.connections,
        "GET /events": operations.events,
        "GET /stats": operations.stats,
        "GET /config": operations.configuration,
        **{f"POST {_BACKEND}/{verb}": operations.standing(mode) for verb, mode in _MODES.items()},
        f"POST {_BACKEND}/weight": operations.weight,
        "POST /config/reload": operations.reload,
        "GET /openapi.json": operations.description,
    }
    for one in OPERATIONS:
        # The id of a backend may be a path: `unix:/run/app.sock`.
        path = one.path.replace("{backend}", "{backend:.+}")
        app.router.add_route(one.method, f"/api/v1{path}", handlers[f"{one.method} {one.path}"])
    return app


@asynccontextmanager
async def serving(app: web.Application, path: Path, owner: int | None = None) -> AsyncIterator[None]:
    """Serve on a Unix socket that only we, and ``owner`` (the engine's user), can open."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    # The mode must hold from the first moment, not from a chmod on.
    previous = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(previous)
    if owner is not None:
        os.chown(path, owner, -1)
    try:
        yield
    finally:
        await runner.cleanup()
        _remove(path)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


class _Operations:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._streams = Streams()

    async def status(self, _: web.Request) -> web.Response:
        return _json_text((await self._now()).model_dump_json())

    async def listeners(self, _: web.Request) -> web.Response:
        return _json([one.model_dump(mode="json") for one in (await self._now()).listeners])

    async def pools(self, _: web.Request) -> web.Response:
        return _json([one.model_dump(mode="json") for one in (await self._now()).pools])

    async def pool(self, request: web.Request) -> web.Response:
        name = request.match_info["pool"]
        pool = await self._pool(name)
        return _json_text(pool.model_dump_json()) if pool else _error(404, f"there is no pool {name!r}")

    async def backend(self, request: web.Request) -> web.Response:
        name, identity = request.match_info["pool"], request.match_info["backend"]
        await self._backend.refresh()
        found = self._backend.backend(name, identity)
        if found is None:
            return _error(404, f"there is no backend {identity!r} in a pool {name!r}")
        return _json_text(found.model_dump_json())

    async def routes(self, _: web.Request) -> web.Response:
        try:
            stats = await self._backend.stats()
        except FairleadError as error:
            return _error(503, str(error))
        return _json([one.model_dump(mode="json") for one in stats.routes])

    async def connections(self, request: web.Request) -> web.Response:
        asked = request.query
        limit, client = asked.get("limit", str(_LISTED)), asked.get("client")
        if not limit.isdecimal() or not 0 <= int(limit) <= _MOST_LISTED:
            return _error(400, f"limit must be 0 to {_MOST_LISTED}, not {limit!r}")
        if client is not None and not _is_address(client):
            return _error(400, f"client must be an IP address, not {client!r}")
        try:
            found = await self._backend.connections(int(limit), asked.get("listener"), client)
        except FairleadError as error:
            return _error(503, str(error))
        return _json_text(found.model_dump_json())

    async def events(self, request: web.Request) -> web.StreamResponse:
        if self._streams.is_full:
            return _error(503, "too many read events already")
        return await self._streams.serve(request, self._backend.events(request.headers.get("Last-Event-ID")))

    def standing(self, mode: Mode) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def stand(request: web.Request) -> web.Response:
            pool, backend = request.match_info["pool"], request.match_info["backend"]
            return await _operated(self._backend.stand(pool, backend, mode))

        return stand

    async def weight(self, request: web.Request) -> web.Response:
        pool, backend = request.match_info["pool"], request.match_info["backend"]
        try:
            wanted = Weight.model_validate_json(await request.text())
        except ValidationError:
            return _error(400, 'the body must be {"weight": N}, N from 0 to 65535, or null: as configured')
        return await _operated(self._backend.weigh(pool, backend, wanted.weight))

    async def stats(self, _: web.Request) -> web.Response:
        try:
            return _json_text((await self._backend.stats()).model_dump_json())
        except FairleadError as error:
            return _error(503, str(error))

    async def configuration(self, _: web.Request) -> web.Response:
        return _json(self._backend.configuration())

    async def reload(self, _: web.Request) -> web.Response:
        return _json_text((await self._backend.reload()).model_dump_json())

    async def _pool(self, name: str) -> PoolStats | None:
        return next((pool for pool in (await self._now()).pools if pool.name == name), None)

    async def _now(self) -> Status:
        """With the counts of this moment: who reads after a request expects to see it counted."""
        await self._backend.refresh()
        return self._backend.status()

    async def description(self, _: web.Request) -> web.Response:
        return _json(openapi.document(OPERATIONS, self._backend.status().version))


async def _operated(change: Awaitable[Operated]) -> web.Response:
    try:
        return _json_text((await change).model_dump_json())
    except NotFound as error:
        return _error(404, str(error))
    except FairleadError as error:
        return _error(503, str(error))


def _guard(policy: Policy) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        decision = decide(policy, request.method, request.headers)
        if isinstance(decision, Denied):
            response = _error(decision.status, decision.reason)
            if decision.status == web.HTTPUnauthorized.status_code:
                response.headers["WWW-Authenticate"] = 'Bearer realm="fairlead"'  # RFC 6750 section 3
            return response
        if request.method == "POST":
            _log.info("intent", path=request.path, who=decision.who)
        return await handler(request)

    return guard


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, f"{error.reason}: {request.method} {request.path}")


def _json(document: object) -> web.Response:
    return _json_text(json.dumps(document, ensure_ascii=False))


def _json_text(text: str) -> web.Response:
    # Whose program answers is nobody's business, least of all its version.
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "fairlead"}
    return web.Response(text=text + "\n", content_type="application/json", headers=headers)


def _error(status: int, reason: str) -> web.Response:
    response = _json({"error": reason})
    response.set_status(status)
    return response
