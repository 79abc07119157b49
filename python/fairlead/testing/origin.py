"""An HTTP/1.1 origin that behaves as told, also in ways that no well-behaved server would.

It reads whole requests and leaves every byte of the answer to its behaviour::

    async with Origin(answer("hello")) as origin:
        ...  # origin.address, origin.requests, origin.connections
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

_LARGEST_HEAD = 1024 * 1024
_TURNS = 5


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    """Which connection it came on, counted from 1."""

    def header(self, name: str) -> str | None:
        """The first value of a field, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Exchange:
    """The side of a behaviour: what was asked, and ways to answer or not to."""

    def __init__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._writer = writer

    async def send(self, content: bytes) -> None:
        """Bytes, as they are."""
        self._writer.write(content)
        await self._writer.drain()

    async def answer(
        self, body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer with its length."""
        fields = {"Content-Length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        content = b"" if self.request.method == "HEAD" else body
        await self.send(f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode("latin-1") + content)

    async def chunks(self, pieces: Iterable[bytes]) -> None:
        """An answer in chunks."""
        await self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            await self.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await self.send(b"0\r\n\r\n")

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection with a reset: what is still on its way is lost."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()


Behaviour = Callable[[Exchange], Awaitable[None]]


def answer(body: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer the same to everything."""
    content = body.encode() if isinstance(body, str) else body

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(content, status, headers)

    return behave


def after(seconds: float, then: Behaviour) -> Behaviour:
    """Think, then do as told."""

    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await then(exchange)

    return behave


def reset() -> Behaviour:
    """Reset the connection instead of answering."""

    async def behave(exchange: Exchange) -> None:
        exchange.reset()

    return behave


def silent() -> Behaviour:
    """Never answer."""

    async def behave(_: Exchange) -> None:
        await asyncio.Event().wait()

    return behave


def raw(content: bytes, *, close: bool = True) -> Behaviour:
    """Send these bytes as the answer."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(content)
        if close:
            exchange.close()

    return behave


def by_path(table: Mapping[str, Behaviour], otherwise: Behaviour | None = None) -> Behaviour:
    """A behaviour for each path; 404 for the rest."""
    rest = otherwise or answer("not found", 404)

    async def behave(exchange: Exchange) -> None:
        await table.get(exchange.request.target.partition("?")[0], rest)(exchange)

    return behave


class Origin:
    """A server on a free port of the loopback, or on a Unix socket.

    ``requests`` has what arrived, ``connections`` counts; one that runs for long shall not ``remember``.
    """

    def __init__(
        self, behaviour: Behaviour, *, path: str | None = None, port: int = 0, remember: bool = True
    ) -> None:
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self.connections = 0
        self._remember = remember
        self._path = path
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """As a configuration names it."""
        return f"unix:{self._path}" if self._path else f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LARGEST_HEAD)
        else:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, limit=_LARGEST_HEAD, backlog=1024
            )
            self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Refuse new connections and cut the open ones."""
        if self._server is None:
            return
        # Accept no more, but give what was accepted just now its task, some turns of the loop later: a server
        # that is closed in between loses such a connection, open.
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        # A transport that was closed lets go of its socket in the loop's next turn.
        await asyncio.sleep(0)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        self.connections += 1
        number = self.connections
        try:
            while not writer.is_closing():
                request = await _read(reader, number)
                if self._remember:
                    self.requests.append(request)
                await self.behaviour(Exchange(request, writer))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        except asyncio.CancelledError:
            # `stop` asked for it; asyncio would report the task as a failure of the server.
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = start.split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    fields = {name.lower(): value for name, value in headers}
    body = b""
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = await _read_chunks(reader)
    elif length := fields.get("content-length"):
        body = await reader.readexactly(int(length))
    return Request(method, target, headers, body, connection)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return body
