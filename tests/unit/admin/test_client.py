"""Finding a running Fairlead, and saying what to do when there is none."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from fairlead.admin.client import Client, NotRunning, find
from fairlead.admin.server import serving
from fairlead.errors import FairleadError

Handler = Callable[[web.Request], Awaitable[web.Response]]


def app(handler: Handler) -> web.Application:
    application = web.Application()
    application.router.add_get("/api/v1/status", handler)
    return application


async def says_via(request: web.Request) -> web.Response:
    return web.json_response({"via": request.headers.get("Fairlead-Via")})


async def ask(address: str) -> object:
    return await asyncio.to_thread(Client(address).request, "GET", "/status")


async def test_a_directory_a_socket_and_a_url_are_addresses(tmp_path: Path) -> None:
    async with serving(app(says_via), tmp_path / "admin.sock"):
        for address in (str(tmp_path), f"{tmp_path}/admin.sock", f"unix:{tmp_path}/admin.sock"):
            assert await ask(address) == {"via": "socket"}
    runner = web.AppRunner(app(says_via))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    for address in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
        assert await ask(address) == {"via": None}
    await runner.cleanup()


async def test_without_an_engine_control_answers_itself(tmp_path: Path) -> None:
    async with serving(app(says_via), tmp_path / "control.sock"):
        assert await ask(str(tmp_path)) == {"via": "socket"}


async def test_an_engine_without_control_is_said_so(tmp_path: Path) -> None:
    async def away(_: web.Request) -> web.Response:
        return web.json_response({"error": "the control process is away"}, status=503)

    async with serving(app(away), tmp_path / "admin.sock"):
        with pytest.raises(FairleadError, match="control process is away"):
            await ask(str(tmp_path))


async def test_a_refusal_is_shown_with_its_reason(tmp_path: Path) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": "a token is needed"}, status=401)

    async with serving(app(refuse), tmp_path / "admin.sock"):
        with pytest.raises(FairleadError, match="401: a token is needed"):
            await ask(str(tmp_path))


async def test_nobody_there_is_said_with_the_address(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="nothing answers at"):
        await ask(str(tmp_path))
    with pytest.raises(FairleadError, match="no address"):
        await ask("ftp://x")


def test_what_is_named_comes_before_the_environment_and_the_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "admin.sock").touch()
    monkeypatch.setenv("FAIRLEAD_ADMIN", "127.0.0.1:9900")
    assert find("/run/x.sock", [tmp_path]).address == "/run/x.sock"
    assert find(None, [tmp_path]).address == "127.0.0.1:9900"
    monkeypatch.delenv("FAIRLEAD_ADMIN")
    assert find(None, [tmp_path / "none", tmp_path]).address == str(tmp_path)


def test_when_nothing_runs_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_ADMIN", raising=False)
    with pytest.raises(NotRunning, match=r"fairlead run FILE.*--admin") as refused:
        find(None, [tmp_path])
    assert refused.value.exit_code == 1
