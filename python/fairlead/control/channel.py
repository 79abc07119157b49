"""The control end of ``engine.sock``.

A frame is a length (4 bytes, big-endian) and that many bytes of JSON. After one hello each way, calls go
down and are answered by their number, in any order; stats and events come up unasked. While nobody reads
these, the newest stats replace older ones and events beyond the queue are dropped and counted, so that a
slow reader costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from fairlead.control.errors import EngineFault, EngineLost, EngineMismatch, refusal
from fairlead.control.messages import PROTOCOL, Changes, Event, Hello, Update
from fairlead.model.stats import EngineStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

MAX_FRAME = 64 * 1024 * 1024
"""Bytes of JSON in a frame: some ten times a Plan of 2,000 pools and 10,000 routes."""

MAX_EVENTS = 1024
MAX_CHANGES = 256
"""Frames of changes that nobody has read yet, of up to 4,096 each."""

HELLO_SECONDS = 10.0

_LENGTH = struct.Struct(">I")


def encode(document: Mapping[str, Any]) -> bytes:
    """The frame of a document."""
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    if len(body) > MAX_FRAME:
        message = f"a message to the engine has {len(body)} bytes, more than the {MAX_FRAME} of a frame"
        raise EngineFault(message)
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next document; `asyncio.IncompleteReadError` at the end of the stream."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_FRAME:
        message = f"the engine announced a frame of {length} bytes"
        raise EngineFault(message)
    document = json.loads(await reader.readexactly(length))
    if not isinstance(document, dict):
        message = "the engine sent a frame that is no object"
        raise EngineFault(message)
    return document


class Channel:
    """One connection to an engine; ends with it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello) -> None:
        self.hello = hello
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._stats: EngineStats | None = None
        self._events: deque[Event] = deque()
        self.dropped_events = 0
        self._changes: deque[Changes] = deque(maxlen=MAX_CHANGES)
        self._news = asyncio.Event()
        self._ended = False
        self._task = asyncio.create_task(self._receive(), name="engine channel")

    @classmethod
    async def connect(cls, path: Path, version: str) -> Channel:
        """Connect and shake hands.

        Raises `OSError` if nobody listens and `EngineMismatch` if a stranger does.
        """
        reader, writer = await asyncio.open_unix_connection(path, limit=1024 * 1024)
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = _accepted((await read_frame(reader))["hello"], version)
                writer.write(encode({"hello": {"protocol": PROTOCOL, "version": version}}))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, KeyError, ValueError) as error:
            writer.close()
            message = f"no handshake with the engine on {path}: {error!r}"
            raise EngineLost(message) from error
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer, hello)

    async def call(self, name: str, **arguments: object) -> dict[str, Any]:
        """Ask and wait for the answer's ``ok``."""
        if self._ended:
            raise EngineLost
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(encode({"id": number, "call": name, **arguments}))
            await self._writer.drain()
            return await answer
        except ConnectionError as error:
            raise EngineLost from error
        finally:
            del self._waiting[number]

    async def updates(self) -> AsyncIterator[Update]:
        """What is pushed, until the connection ends."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._events:
                yield self._events.popleft()
            while self._changes:
                yield self._changes.popleft()
            if (stats := self._stats) is not None:
                self._stats = None
                yield stats
            if self._ended and not self._events:
                self._news.set()
                return

    async def close(self) -> None:
        """Hang up; the engine serves on."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        # A task that was cancelled before its first step ran no `finally`.
        self._end(EngineLost())

    async def _receive(self) -> None:
        try:
            while True:
                self._take(await read_frame(self._reader))
        except (asyncio.IncompleteReadError, ConnectionError, EngineFault, ValueError) as error:
            end = EngineLost(f"the connection to the engine ended: {error}")
            end.__cause__ = error
            self._end(end)
        finally:
            self._end(EngineLost())

    def _take(self, frame: dict[str, Any]) -> None:
        if (number := frame.get("id")) is not None:
            answer = self._waiting.get(number)
            # A caller that was cancelled no longer waits for its answer.
            if answer is None or answer.done():
                return
            if "error" in frame:
                answer.set_exception(refusal(frame["error"]))
            else:
                answer.set_result(frame.get("ok") or {})
            return
        if "stats" in frame:
            self._stats = EngineStats.model_validate(frame["stats"])
        elif "event" in frame:
            if len(self._events) < MAX_EVENTS:
                self._events.append(Event.parse(frame["event"]))
            else:
                self.dropped_events += 1
        elif "affinity" in frame:
            self._changes.append(Changes.parse(frame["affinity"]))
        elif "error" in frame:
            raise refusal(frame["error"])
        self._news.set()

    def _end(self, error: EngineLost) -> None:
        self._ended = True
        self._news.set()
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)


def _accepted(document: Mapping[str, Any], version: str) -> Hello:
    hello = Hello.parse(document)
    if hello.protocol != PROTOCOL or hello.version != version:
        raise EngineMismatch(hello.pid, theirs=hello.version, ours=version)
    return hello
