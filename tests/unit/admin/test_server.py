"""The API over its socket."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector

from fairlead.admin.access import Policy
from fairlead.admin.server import OPERATIONS, application, serving
from fairlead.control.errors import EngineLost
from fairlead.model.stats import BackendStats, EngineStats, PoolStats
from fairlead.model.status import ReloadResult, Status

SOCKET = {"Fairlead-Via": "socket"}


class FakeBackend:
    def __init__(self) -> None:
        self.reloads = 0
        self.engine_is_away = False
        self.refreshed = 0

    def status(self) -> Status:
        return Status(
            version="1.0",
            pid=1,
            phase="serving",
            ready=True,
            directory="/run/fairlead",
            admin=(),
            plan_version=None,
            plans_alive=0,
            plan=None,
            engine=None,
            reload=None,
            pools=(PoolStats(name="app", backends=(BackendStats(id="unix:/run/a.sock", address="x"),)),),
        )

    async def refresh(self) -> None:
        self.refreshed += 1

    async def stats(self) -> EngineStats:
        if self.engine_is_away:
            raise EngineLost
        return EngineStats(plan_version=7)

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
