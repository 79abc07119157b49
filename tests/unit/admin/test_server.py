"""The API over its socket."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector

from fairlead.admin.access import Policy
from fairlead.admin.server import OPERATIONS, application, serving
from fairlead.control.errors import EngineLost
from fairlead.control.events import EventLog, Reader
from fairlead.errors import NotFound
from fairlead.model.stats import (
    BackendStats,
    Connected,
    ConnectionStats,
    EngineStats,
    Mode,
    PoolStats,
    RouteStats,
)
from fairlead.model.status import BackendDetail, Operated, ReloadResult, Status
from support.reported import reported

SOCKET = {"Fairlead-Via": "socket"}


class FakeBackend:
    def __init__(self) -> None:
        self.reloads = 0
        self.engine_is_away = False
        self.refreshed = 0
        self.log = EventLog()

    def status(self) -> Status:
        app = PoolStats(name="app", backends=(BackendStats(id="unix:/run/a.sock", address="x"),))
        return reported(pools=(app,))

    async def refresh(self) -> None:
        self.refreshed += 1

    async def stats(self) -> EngineStats:
        if self.engine_is_away:
            raise EngineLost
        return EngineStats(plan_version=7, routes=(RouteStats(id="api", listener="web", pool="app"),))

    async def connections(self, limit: int, listener: str | None, client: str | None) -> Connected:
        if self.engine_is_away:
            raise EngineLost
        one = ConnectionStats(listener=listener or "web", client=client, requests=limit)
        return Connected(open=3, connections=(one,))

    def events(self, last: str | None) -> Reader:
        return self.log.reader(last)

    def backend(self, pool: str, backend: str) -> BackendDetail | None:
        if (pool, backend) != ("app", "unix:/run/a.sock"):
            return None
        return BackendDetail(id=backend, address="x", pool=pool, events=self.log.about(pool, backend))

    async def stand(self, pool: str, backend: str, mode: Mode) -> Operated:
        if pool != "app":
            message = f"there is no pool {pool!r}"
            raise NotFound(message)
        state = {"none": "up", "drain": "draining", "disable": "disabled"}[mode]
        return Operated(pool=pool, backend=backend, state=state, weight=1, open=0)

    async def weigh(self, pool: str, backend: str, weight: int | None) -> Operated:
        return Operated(
            pool=pool, backend=backend, state="up", weight=1 if weight is None else weight, open=0
        )

    def configuration(self) -> dict[str, Any]:
        return {"pools": {"app": {}}}

    async def reload(self) -> ReloadResult:
        self.reloads += 1
        return ReloadResult(accepted=True, plan_version=2)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
async def client(backend: FakeBackend, tmp_path: Path) -> AsyncIterator[ClientSession]:
    path = tmp_path / "control.sock"
    async with serving(application(backend, Policy()), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with ClientSession("http://localhost", connector=UnixConnector(str(path))) as session:
            yield session


async def test_the_status_is_the_model(client: ClientSession, backend: FakeBackend) -> None:
    async with client.get("/api/v1/status") as answer:
        assert answer.status == 200
        assert Status.model_validate_json(await answer.text()) == backend.status()
        assert answer.headers["Cache-Control"] == "no-store"
    assert backend.refreshed == 1


async def test_a_reload_is_an_intent_of_an_operator(client: ClientSession, backend: FakeBackend) -> None:
    async with client.post("/api/v1/config/reload") as answer:
        assert answer.status == 403
        assert "admin.sock" in (await answer.json())["error"]
    assert backend.reloads == 0
    async with client.post("/api/v1/config/reload", headers=SOCKET) as answer:
        assert await answer.json() == ReloadResult(accepted=True, plan_version=2).model_dump(mode="json")
    assert backend.reloads == 1


async def test_pools_are_found_by_name(client: ClientSession) -> None:
    async with client.get("/api/v1/pools/app") as answer:
        assert (await answer.json())["name"] == "app"
    async with client.get("/api/v1/pools/none") as answer:
        assert answer.status == 404
        assert await answer.json() == {"error": "there is no pool 'none'"}


async def test_backends_are_found_by_their_id_even_if_it_is_a_path(client: ClientSession) -> None:
    async with client.get("/api/v1/pools/app/backends/unix:/run/a.sock") as answer:
        assert (await answer.json())["id"] == "unix:/run/a.sock"
    async with client.get("/api/v1/pools/app/backends/none") as answer:
        assert answer.status == 404


async def test_stats_come_from_the_engine_or_say_that_it_is_away(
    client: ClientSession, backend: FakeBackend
) -> None:
    async with client.get("/api/v1/stats") as answer:
        assert (await answer.json())["plan_version"] == 7
    backend.engine_is_away = True
    async with client.get("/api/v1/stats") as answer:
        assert answer.status == 503


async def test_what_does_not_exist_is_said_in_json(client: ClientSession) -> None:
    async with client.get("/api/v1/nothing") as answer:
        assert answer.status == 404
        assert "error" in await answer.json()
    async with client.delete("/api/v1/status", headers=SOCKET) as answer:
        assert answer.status == 405


async def test_the_description_names_every_operation(client: ClientSession) -> None:
    async with client.get("/api/v1/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        (one.method, f"/api/v1{one.path}") for one in OPERATIONS
    }


@pytest.mark.parametrize(
    ("verb", "state"), [("drain", "draining"), ("undrain", "up"), ("disable", "disabled"), ("enable", "up")]
)
async def test_a_backend_is_drained_and_disabled_by_an_operator(
    client: ClientSession, verb: str, state: str
) -> None:
    path = f"/api/v1/pools/app/backends/unix:/run/a.sock/{verb}"
    async with client.post(path) as answer:
        assert answer.status == 403
    async with client.post(path, headers=SOCKET) as answer:
        operated = Operated.model_validate_json(await answer.text())
        assert (operated.backend, operated.state) == ("unix:/run/a.sock", state)
    async with client.post(path.replace("app", "none"), headers=SOCKET) as answer:
        assert answer.status == 404
        assert "no pool 'none'" in (await answer.json())["error"]


async def test_a_weight_is_a_number_in_the_body(client: ClientSession) -> None:
    path = "/api/v1/pools/app/backends/a/weight"
    for body, weight in (({"weight": 5}, 5), ({"weight": None}, 1)):
        async with client.post(path, json=body, headers=SOCKET) as answer:
            assert (await answer.json())["weight"] == weight
    for bad in ({"weight": -1}, {"weight": 65_536}, {"weight": "5"}, {}, {"weight": 1, "x": 1}):
        async with client.post(path, json=bad, headers=SOCKET) as answer:
            assert answer.status == 400
    async with client.get("/api/v1/openapi.json") as answer:
        described = (await answer.json())["paths"]["/api/v1/pools/{pool}/backends/{backend}/weight"]["post"]
        assert described["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/Weight"
        }


async def test_a_backend_is_shown_with_what_happened_to_it(
    client: ClientSession, backend: FakeBackend
) -> None:
    backend.log.append("backend_state", {"pool": "app", "backend": "unix:/run/a.sock", "to": "down"})
    backend.log.append("backend_state", {"pool": "app", "backend": "other", "to": "down"})
    async with client.get("/api/v1/pools/app/backends/unix:/run/a.sock") as answer:
        detail = BackendDetail.model_validate_json(await answer.text())
    assert (detail.pool, [event.details["to"] for event in detail.events]) == ("app", ["down"])


async def test_routes_are_listed_with_their_counts(client: ClientSession, backend: FakeBackend) -> None:
    async with client.get("/api/v1/routes") as answer:
        assert [(one["listener"], one["id"], one["requests"]) for one in await answer.json()] == [
            ("web", "api", 0)
        ]
    backend.engine_is_away = True
    async with client.get("/api/v1/routes") as answer:
        assert answer.status == 503


async def test_connections_are_asked_for_by_number_listener_and_client(
    client: ClientSession, backend: FakeBackend
) -> None:
    async with client.get("/api/v1/connections?limit=5&listener=x&client=::1") as answer:
        found = Connected.model_validate_json(await answer.text())
    (one,) = found.connections
    assert (found.open, one.listener, one.client, one.requests) == (3, "x", "::1", 5)
    for bad in ("limit=1001", "limit=-1", "limit=x", "client=example.com"):
        async with client.get(f"/api/v1/connections?{bad}") as answer:
            assert answer.status == 400
    backend.engine_is_away = True
    async with client.get("/api/v1/connections") as answer:
        assert answer.status == 503


async def test_the_description_says_what_connections_and_events_are(client: ClientSession) -> None:
    async with client.get("/api/v1/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    parameters = paths["/api/v1/connections"]["get"]["parameters"]
    assert {(one["in"], one["name"]) for one in parameters} == {
        ("query", "limit"),
        ("query", "listener"),
        ("query", "client"),
    }
    events = paths["/api/v1/events"]["get"]["responses"]["200"]["content"]
    assert events == {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Event"}}}


async def test_events_are_streamed_and_resumed_by_their_id(
    client: ClientSession, backend: FakeBackend
) -> None:
    async with client.get("/api/v1/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert await stream.content.readuntil(b"\n\n") == b": fairlead\n\n"
        first = backend.log.append("applied", {"version": 2}, at_ms=5)
        lines = (await stream.content.readuntil(b"\n\n")).decode().splitlines()
        assert lines[:2] == [f"id: {first.id}", "event: applied"]
        assert json.loads(lines[2].removeprefix("data: ")) == first.model_dump()
    second = backend.log.append("applied", {"version": 3})
    async with client.get("/api/v1/events", headers={"Last-Event-ID": first.id or ""}) as stream:
        await stream.content.readuntil(b"\n\n")
        assert f"id: {second.id}".encode() in await stream.content.readuntil(b"\n\n")
