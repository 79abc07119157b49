"""Events as a stream of server-sent events (the WHATWG's HTML standard, section 9.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog
from aiohttp import web

if TYPE_CHECKING:
    from fairlead.model.event import Event

READERS = 64
"""At once: each holds a connection of the engine's 256 for the API, and one of ours."""

KEEP_ALIVE_SECONDS = 15.0
"""After so long without an event a comment is sent, so that nobody on the way takes it for dead."""

WRITE_SECONDS = 30.0
"""A reader that takes nothing for so long is gone."""

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "fairlead",
}

_log = structlog.get_logger("fairlead.admin")


class Reader(Protocol):
    """One reader's place among the events."""

    async def next(self) -> Event | None:
        """The next one, whenever it comes; ``None``: no more. May be cancelled and called again."""


class Streams:
    """The open streams; bounded."""

    def __init__(
        self, keep_alive_seconds: float = KEEP_ALIVE_SECONDS, write_seconds: float = WRITE_SECONDS
    ) -> None:
        self._keep_alive = keep_alive_seconds
        self._patience = write_seconds
        self._open = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self._open >= READERS

    async def serve(self, request: web.Request, reader: Reader) -> web.StreamResponse:
        """Send events until the client goes, or is too slow."""
        response = web.StreamResponse(headers=_HEADERS)
        response.force_close()
        self._open += 1
        try:
            await response.prepare(request)
            # The head leaves with the first bytes of the body: a reader knows by it that it is heard.
            await self._send(response, ": fairlead\n\n")
            while (text := await self._next(reader)) is not None:
                await self._send(response, text)
        except TimeoutError:
            _log.warning("a reader of events takes nothing and is cut off", path=request.path)
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass
        finally:
            self._open -= 1
        return response

    async def _next(self, reader: Reader) -> str | None:
        try:
            async with asyncio.timeout(self._keep_alive):
                event = await reader.next()
        except TimeoutError:
            return ": alive\n\n"
        return None if event is None else encode(event)

    async def _send(self, response: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(self._patience):
            await response.write(text.encode())


def encode(event: Event) -> str:
    """An event's lines: its id, its kind as the name, and its JSON, which has no line ends."""
    place = f"id: {event.id}\n" if event.id else ""
    return f"{place}event: {event.kind}\ndata: {event.model_dump_json()}\n\n"
