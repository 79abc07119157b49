"""Who operates a running Fairlead looks at it: events as they happen, connections, `top`, one backend."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from support.backend import OK, SWITCHING, UPGRADE, answering
from support.stage import staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.stage import Stage

CONFIGURATION: dict[str, Any] = {
    "pools": {
        "app": {"backends": [{"address": "@app", "name": "one"}, {"address": "@two", "name": "two"}]},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, CONFIGURATION) as stage:
        yield stage


@contextlib.asynccontextmanager
async def admin(stage: Stage) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(stage.fairlead.directory / "admin.sock"))
    async with aiohttp.ClientSession("http://fairlead", connector=connector) as session:
        yield session


class Events:
    """A reader of the stream."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The id and the document of the next one; comments are passed over."""
        async with asyncio.timeout(20):
            while (text := (await self._content.readuntil(b"\n\n")).decode()).startswith(":"):
                pass
        fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
        document: dict[str, Any] = json.loads(fields["data"])
        assert document["kind"] == fields["event"]
        return fields.get("id", ""), document

    async def until(self, kind: str, **details: object) -> str:
        """Read up to one of this kind with these details; its id."""
        while True:
            place, event = await self.next()
            if event["kind"] == kind and details.items() <= event["details"].items():
                return place


@contextlib.asynccontextmanager
async def events(stage: Stage, last: str | None = None) -> AsyncIterator[Events]:
    headers = {"Last-Event-ID": last} if last else {}
    async with admin(stage) as session, session.get("/api/v1/events", headers=headers) as stream:
        assert stream.status == 200
        assert await stream.content.readuntil(b"\n\n") == b": fairlead\n\n"
        yield Events(stream.content)


async def post(stage: Stage, path: str) -> dict[str, Any]:
    async with admin(stage) as session, session.post(f"/api/v1/pools/app/backends/{path}") as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def get(stage: Stage, path: str) -> Any:  # noqa: ANN401 - JSON
    async with admin(stage) as session, session.get(f"/api/v1/{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def fairlead(stage: Stage, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fairlead", *arguments, "--admin", str(stage.fairlead.directory)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return output.decode()


async def test_what_an_operator_does_is_streamed_and_a_reader_goes_on_where_it_was(stage: Stage) -> None:
    async with events(stage) as reader:
        await post(stage, "one/drain")
        state = await reader.until("backend_state", pool="app", backend="one", to="draining")
        drained = await reader.until("backend_drained", pool="app", backend="one", cut=0)
        assert state != drained
    await post(stage, "one/undrain")
    async with events(stage, last=state) as reader:
        await reader.until("backend_state", backend="one", **{"from": "draining", "to": "up"})
        await stage.fairlead.reload(json.loads(stage.fairlead.config.read_text()))
        await reader.until("reloaded")


async def test_the_stream_goes_on_over_the_death_of_the_engine_and_says_so(stage: Stage) -> None:
    # By control's own socket: the other one is the engine's.
    connector = aiohttp.UnixConnector(str(stage.fairlead.directory / "control.sock"))
    async with (
        aiohttp.ClientSession("http://fairlead", connector=connector) as session,
        session.get("/api/v1/events", headers={"Fairlead-Via": "socket"}) as stream,
    ):
        reader = Events(stream.content)
        killed = stage.engine
        os.kill(killed, signal.SIGKILL)
        await reader.until("engine_ended", pid=killed, exit="SIGKILL")
        await reader.until("engine_started", adopted=False)


async def test_open_connections_are_listed_with_what_they_do(stage: Stage) -> None:
    await post(stage, "two/drain")
    chatting = await stage.client()
    chatting.send(UPGRADE)
    peer, _ = await stage.backend.received()
    peer.send(SWITCHING)
    assert (await chatting.answer()).status == 101
    stage.backend.behaviour = answering(OK)
    waiting = await stage.client()
    for _ in range(2):
        waiting.send(GET)
        assert (await waiting.answer()).status == 200
    found = await get(stage, "connections?listener=web&client=127.0.0.1")
    shown = {one["state"]: one for one in found["connections"]}
    assert found["open"] == 2
    assert (shown["tunnel"]["pool"], shown["tunnel"]["backend"]) == ("app", "one")
    assert (shown["idle"]["backend"], shown["idle"]["requests"], shown["idle"]["listener"]) == (
        None,
        2,
        "web",
    )
    assert shown["idle"]["client"].startswith("127.0.0.1:")
    assert (await get(stage, "connections?limit=1"))["open"] == 2
    assert len((await get(stage, "connections?limit=1"))["connections"]) == 1
    assert (await get(stage, "connections?client=192.0.2.1"))["connections"] == []


async def test_one_backend_is_shown_with_all_that_is_known_of_it(stage: Stage) -> None:
    await post(stage, "one/disable")
    shown = await get(stage, "pools/app/backends/one")
    assert (shown["pool"], shown["id"], shown["state"]) == ("app", "one", "disabled")
    assert (shown["algorithm"], shown["configured"]["weight"]) == ("round_robin", 1)
    assert shown["operator"]["mode"] == "disable"
    assert ("operator", "disable") in [(one["kind"], one["details"].get("mode")) for one in shown["events"]]
    async with admin(stage) as session, session.get("/api/v1/pools/app/backends/three") as answer:
        assert answer.status == 404


async def test_routes_are_listed_with_their_counts(stage: Stage) -> None:
    stage.backend.behaviour = stage.backends["two"].behaviour = answering(OK)
    for _ in range(3):
        assert (await stage.ask(GET)).status == 200
    while (await get(stage, "routes"))[0]["requests"] != 3:
        pass


async def test_top_shows_an_interval_and_ends(stage: Stage) -> None:
    await post(stage, "two/drain")
    stage.backend.behaviour = answering(OK)
    watching = asyncio.create_task(fairlead(stage, "top", "--once", "--json"))
    asked = 0
    while not watching.done():
        assert (await stage.ask(GET)).status == 200
        asked += 1
    shown = json.loads(await watching)
    one, two = shown["backends"]
    assert 0 < one["flow"]["requests_per_second"] * shown["seconds"] <= asked
    assert (one["share"], two["share"], two["flow"]["requests_per_second"]) == (1.0, 0.0, 0.0)
    assert (two["state"], two["why"].split(",")[0]) == ("draining", "drained by an operator")
    assert shown["listeners"][0]["flow"]["mean_ms"] > 0
    text = await fairlead(stage, "top", "--interval", "0.1")
    assert [line.split()[0] for line in text.splitlines() if line] == [
        "Fairlead",
        "engine",
        "listener",
        "web",
        "pool",
        "app",
        "two",
    ]
