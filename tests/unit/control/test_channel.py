"""Frames, handshake, calls and pushes, against a scripted engine."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fairlead.control.channel import MAX_EVENTS, MAX_FRAME, Channel, encode, read_frame
from fairlead.control.errors import EngineFault, EngineLost, EngineMismatch, NeedsRestart, PlanRefused
from fairlead.control.messages import Event
from fairlead.model.stats import EngineStats

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

HELLO: dict[str, Any] = {
    "hello": {
        "protocol": 1,
        "version": "1.0",
        "pid": 42,
        "workers": 2,
        "plan_version": 7,
        "bound": {"web": {":0": "[::]:4000"}},
        "settings": {"workers": 2},
        "admin": ["127.0.0.1:9900"],
        "stopping": False,
    }
}


@asynccontextmanager
async def scripted(path: Path, script: Script, hello: dict[str, Any] | None = None) -> AsyncIterator[Path]:
    """An engine that says hello, takes ours and then follows the script."""

    connections: set[asyncio.Task[Any] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        writer.write(encode(hello or HELLO))
        try:
            assert await read_frame(reader) == {"hello": {"protocol": 1, "version": "1.0"}}
            await script(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path / "engine.sock")
    async with server:
        yield path / "engine.sock"
        await asyncio.gather(*(task for task in connections if task))


async def test_the_hello_says_what_serves(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scripted(tmp_path, silent) as path:
        channel = await Channel.connect(path, "1.0")
        assert channel.hello.pid == 42
        assert channel.hello.plan_version == 7
        assert channel.hello.bound == {"web": {":0": "[::]:4000"}}
        assert channel.hello.admin == ("127.0.0.1:9900",)
        await channel.close()


@pytest.mark.parametrize("change", [{"version": "2.0"}, {"protocol": 2}])
async def test_an_engine_of_another_version_is_refused_by_name(
    tmp_path: Path, change: dict[str, object]
) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    hello = {"hello": {**HELLO["hello"], **change}}
    async with scripted(tmp_path, silent, hello) as path:
        with pytest.raises(EngineMismatch, match="kill 42"):
            await Channel.connect(path, "1.0")


async def test_nobody_listening_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Channel.connect(tmp_path / "engine.sock", "1.0")


async def test_answers_reach_their_callers_in_any_order(tmp_path: Path) -> None:
    async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls = [await read_frame(reader), await read_frame(reader)]
        for call in reversed(calls):
            writer.write(encode({"id": call["id"], "ok": {"echo": call["word"]}}))
        await reader.read()

    async with scripted(tmp_path, backwards) as path:
        channel = await Channel.connect(path, "1.0")
        answers = await asyncio.gather(channel.call("echo", word="a"), channel.call("echo", word="b"))
        assert answers == [{"echo": "a"}, {"echo": "b"}]
        await channel.close()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("refused", PlanRefused), ("restart_needed", NeedsRestart), ("internal", EngineFault)],
)
async def test_errors_keep_their_kind_and_path(tmp_path: Path, kind: str, expected: type[Exception]) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = await read_frame(reader)
        errors = [{"path": ["listeners", "web", "routes", "0"], "message": "is wrong"}]
        writer.write(encode({"id": call["id"], "error": {"kind": kind, "errors": errors}}))
        await reader.read()

    async with scripted(tmp_path, refuse) as path:
        channel = await Channel.connect(path, "1.0")
        with pytest.raises(expected, match=r"listeners\.web\.routes\[0\]: is wrong"):
            await channel.call("apply", spec={})
        await channel.close()


async def test_a_death_fails_the_open_calls_and_the_later_ones(tmp_path: Path) -> None:
    async def die(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_frame(reader)

    async with scripted(tmp_path, die) as path:
        channel = await Channel.connect(path, "1.0")
        with pytest.raises(EngineLost):
            await channel.call("stats")
        with pytest.raises(EngineLost):
            await channel.call("stats")
        assert [update async for update in channel.updates()] == []


async def test_unread_stats_are_replaced_and_events_bounded_and_counted(tmp_path: Path) -> None:
    pushed = asyncio.Event()

    async def push(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(MAX_EVENTS + 5):
            writer.write(encode({"event": {"kind": "worker_panic", "at_ms": number, "worker": 1}}))
            writer.write(encode({"stats": {"plan_version": number}}))
        await writer.drain()
        pushed.set()

    async with scripted(tmp_path, push) as path:
        channel = await Channel.connect(path, "1.0")
        await pushed.wait()
        with pytest.raises(EngineLost):
            await channel.call("stats")
        updates = [update async for update in channel.updates()]
        events = [update for update in updates if isinstance(update, Event)]
        assert len(events) == MAX_EVENTS
        assert events[0] == Event("worker_panic", 0, {"worker": 1})
        assert channel.dropped_events == 5
        assert [update for update in updates if isinstance(update, EngineStats)] == [
            EngineStats(plan_version=MAX_EVENTS + 4)
        ]


async def test_a_frame_that_is_too_long_ends_the_connection(tmp_path: Path) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(struct.pack(">I", MAX_FRAME + 1))
        await reader.read()

    async with scripted(tmp_path, flood) as path:
        channel = await Channel.connect(path, "1.0")
        with pytest.raises(EngineLost):
            await channel.call("stats")
