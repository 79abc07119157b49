"""The API's operations and their server: aiohttp on a Unix socket."""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiohttp import web

from fairlead.admin import openapi
from fairlead.admin.access import Denied, Policy, decide
from fairlead.admin.openapi import Operation
from fairlead.errors import FairleadError
from fairlead.model.stats import BackendStats, EngineStats, PoolStats
from fairlead.model.status import ReloadResult, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.typedefs import Handler, Middleware

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

    def configuration(self) -> dict[str, Any]:
        """The configuration that was accepted last, without its secrets."""

    async def reload(self) -> ReloadResult:
        """Read the configuration again and serve it if it can be served."""


OPERATIONS = (
    Operation("GET", "/status", "The whole state", Status),
    Operation("GET", "/listeners", "The listeners and their connections"),
    Operation("GET", "/pools", "The pools and their backends"),
    Operation("GET", "/pools/{pool}", "One pool", PoolStats),
    Operation("GET", "/pools/{pool}/backends/{backend}", "One backend", BackendStats),
    Operation("GET", "/stats", "The engine's counts at this moment, routes included", EngineStats),
    Operation("GET", "/config", "The configuration that serves, without its secrets"),
    Operation("POST", "/config/reload", "Read the configuration file again", ReloadResult),
    Operation("GET", "/openapi.json", "This description"),
)


def application(backend: Backend, policy: Policy) -> web.Application:
    """The API as an aiohttp application."""
    operations = _Operations(backend)
    app = web.Application(middlewares=[_errors_as_json, _guard(policy)])
    handlers: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
        "GET /status": operations.status,
        "GET /listeners": operations.listeners,
        "GET /pools": operations.pools,
        "GET /pools/{pool}": operations.pool,
        "GET /pools/{pool}/backends/{backend}": operations.backend,
        "GET /stats": operations.stats,
        "GET /config": operations.configuration,
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


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


class _Operations:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

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
        pool = await self._pool(name)
        for one in pool.backends if pool else ():
            if one.id == identity:
                return _json_text(one.model_dump_json())
        return _error(404, f"there is no backend {identity!r} in a pool {name!r}")

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
