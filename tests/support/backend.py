"""A backend whose connections the test answers by hand, or by a short behaviour."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from support.message import Request
from support.peer import HANG, Peer

Behaviour = Callable[["Backend", Peer], Awaitable[None]]


KEPT = 1024 * 1024
"""Of each connection's bytes so many are kept."""


class _Reader(asyncio.StreamReader):
    def __init__(self) -> None:
        super().__init__(limit=1024 * 1024)
        self.kept = bytearray()

    def feed_data(self, data: bytes) -> None:
        if len(self.kept) < KEPT:
            self.kept += data
        super().feed_data(data)


class Backend:
    """Listens on a free port of `host`, or at `unix:PATH`.

    Without a behaviour, connections wait for `accepted`.
    """

    def __init__(self, behaviour: Behaviour | None = None, host: str = "127.0.0.1") -> None:
        self.behaviour = behaviour
        self._host = host
        self.requests: list[Request] = []
        self._waiting: asyncio.Queue[Peer] = asyncio.Queue()
        self._open: list[Peer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """As a configuration names it."""
        if self._host.startswith("unix:"):
            return self._host
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        await self.clear()

    async def listen(self) -> None:
        """Accept connections, again on the same port if it did before."""
        loop = asyncio.get_running_loop()

        def made() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(_Reader(), self._accept)

        if self._host.startswith("unix:"):
            self._server = await loop.create_unix_server(made, self._host.removeprefix("unix:"), backlog=1024)
        else:
            self._server = await loop.create_server(made, self._host, self._port, backlog=1024)
            self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse further connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accepted(self) -> Peer:
        """The next connection that nobody took yet."""
        async with asyncio.timeout(HANG):
            return await self._waiting.get()

    async def received(self) -> tuple[Peer, Request]:
        """The next connection and the first request on it."""
        peer = await self.accepted()
        return peer, await peer.request()

    @property
    def connections(self) -> int:
        """How many there were since the test began."""
        return len(self._open)

    def bytes(self) -> list[bytes]:
        """What came on each connection since the test began, up to `KEPT` bytes."""
        return [bytes(peer.reader.kept) for peer in self._open if isinstance(peer.reader, _Reader)]

    def untouched(self) -> bool:
        """Whether no connection waits to be taken."""
        return self._waiting.empty()

    async def clear(self) -> None:
        """Close every connection and forget what was."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in self._open:
            await peer.closed()
        self._open.clear()
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self.behaviour = None
        self.requests.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._open.append(peer)
        if self.behaviour is None:
            self._waiting.put_nowait(peer)
            return
        task = asyncio.create_task(self._behave(self.behaviour, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _behave(self, behaviour: Behaviour, peer: Peer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behaviour(self, peer)
        peer.close()


def answering(content: bytes) -> Behaviour:
    """Read requests and answer each with these bytes."""

    async def behave(backend: Backend, peer: Peer) -> None:
        while True:
            # Between requests a connection may idle for as long as it likes.
            backend.requests.append(await peer.request(within=None))
            peer.send(content)

    return behave


def closing_after(content: bytes) -> Behaviour:
    """Read a request, answer it with these bytes and close."""

    async def behave(backend: Backend, peer: Peer) -> None:
        backend.requests.append(await peer.request(within=None))
        await peer.send_all(content)

    return behave


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
"""The shortest answer that says something."""

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
"""Asks for another protocol."""

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
"""And goes over to it."""
