"""Streams of events: kept alive, bounded, and ended for readers that are too slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError, ClientSession, StreamReader, UnixConnector, web

from fairlead.admin.stream import Streams, encode
from fairlead.control.events import EventLog
from fairlead.model.event import Event


@asynccontextmanager
async def streaming(
    path: Path, streams: Streams, log: EventLog, ended: asyncio.Event | None = None
) -> AsyncIterator[ClientSession]:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = await streams.serve(request, log.reader())
        if ended is not None:
            ended.set()
        return response

    async def wait_longer(request: web.Request) -> web.StreamResponse:
        return await patient.serve(request, log.reader())

    patient = Streams()
    app = web.Application()
    app.router.add_get("/", handle)
    app.router.add_get("/patient", wait_longer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        async with ClientSession("http://localhost", connector=UnixConnector(str(path))) as session:
            yield session
    finally:
        await runner.cleanup()


def test_an_event_is_its_id_its_name_and_json_in_one_line() -> None:
    event = Event(id="7-1", kind="trouble", at_ms=5, details={"message": "two\nlines"})
    assert encode(event) == (
        "id: 7-1\nevent: trouble\n"
        'data: {"id":"7-1","kind":"trouble","at_ms":5,"details":{"message":"two\\nlines"}}\n\n'
    )
    assert encode(Event(kind="gap", at_ms=5)).startswith("event: gap\ndata: ")


async def test_a_stream_without_events_is_kept_alive_by_comments(tmp_path: Path) -> None:
    async with (
        streaming(tmp_path / "s", Streams(keep_alive_seconds=0.01), EventLog()) as session,
        session.get("/") as stream,
    ):
        assert await stream.content.readuntil(b"\n\n") == b": fairlead\n\n"
        assert [await stream.content.readuntil(b"\n\n") for _ in range(2)] == [b": alive\n\n"] * 2


async def test_a_reader_that_fell_behind_is_told_so_and_its_stream_ends(tmp_path: Path) -> None:
    log = EventLog(capacity=2)
    async with streaming(tmp_path / "s", Streams(), log) as session, session.get("/") as stream:
        await stream.content.readuntil(b"\n\n")
        # All in one turn of the loop: the stream gets to none of them before the first are gone.
        for number in range(5):
            log.append("applied", {"version": number})
        text = (await stream.read()).decode()
    assert text.startswith("event: gap\n")
    assert "too slow: 3 events are no longer kept" in text


async def test_a_reader_that_takes_nothing_is_cut_off_and_holds_up_nobody(tmp_path: Path) -> None:
    log = EventLog()
    streams = Streams(write_seconds=0.05)
    ended = asyncio.Event()
    async with streaming(tmp_path / "s", streams, log, ended) as session, session.get("/") as stuck:
        await stuck.content.readuntil(b"\n\n")
        async with session.get("/patient") as quick:
            await quick.content.readuntil(b"\n\n")
            large = "x" * 1_000_000
            log.append("trouble", {"message": large})
            assert large.encode() in await _whole_event(quick.content)
            for _ in range(8):
                log.append("trouble", {"message": large})
                await _whole_event(quick.content)
            # Read before it is cut off, it would only be slow.
            await ended.wait()
            with pytest.raises((ClientPayloadError, ConnectionError)):
                await stuck.read()
            log.append("applied", {"version": 1})
            assert b'"version":1' in await _whole_event(quick.content)


async def _whole_event(content: StreamReader) -> bytes:
    text = b""
    async with asyncio.timeout(10):
        while not text.endswith(b"\n\n"):
            text += await content.readany()
    return text
