"""One end of a connection, in the test's hand: bytes go as they are given, messages are read strictly."""

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Self

import pytest

from support.message import Answer, Fields, Framing, Request, framing_of, parse_field, parse_head

HANG = 20.0
"""Seconds after which something that is waited for does not come any more."""

_BUFFER = 1024 * 1024
_BROKEN = (ConnectionError, asyncio.IncompleteReadError)


class Peer:
    """A connection whose bytes the test sends and reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        sock = writer.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    async def connect(
        cls,
        address: str,
        *,
        source: str | None = None,
        buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "web.test",
    ) -> Self:
        """Connect as a client, from the address `source`, with a receive buffer of `buffer` bytes.

        With `tls` it is spoken, and `name` asked for.
        """
        if address.startswith("unix:"):
            return cls(*await asyncio.open_unix_connection(address.removeprefix("unix:"), limit=_BUFFER))
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)  # noqa: FBT003 - its name says it
        if source is not None:
            sock.bind((source, 0))
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            async with asyncio.timeout(HANG):
                await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        except BaseException:
            sock.close()
            raise
        encrypted = {"ssl": tls, "server_hostname": name} if tls else {}
        return cls(*await asyncio.open_connection(sock=sock, limit=buffer or _BUFFER, **encrypted))

    def send(self, *parts: bytes) -> None:
        """Give bytes to the kernel now, or keep what it does not take."""
        for part in parts:
            self.writer.write(part)

    def send_bytewise(self, content: bytes) -> None:
        """Give it byte by byte, each in a call of its own."""
        for byte in content:
            if self.writer.is_closing():
                return
            self.writer.write(bytes([byte]))

    async def send_all(self, content: bytes) -> None:
        """Send and wait until the buffer is low again."""
        self.writer.write(content)
        async with asyncio.timeout(HANG):
            await self.writer.drain()

    async def head(self, within: float | None = HANG) -> tuple[str, Fields]:
        """The next head."""
        async with asyncio.timeout(within):
            return parse_head(await self.reader.readuntil(b"\r\n\r\n"))

    async def request(self, within: float | None = HANG) -> Request:
        """The next request, as a backend reads it."""
        return await self.rest_of_request(*await self.head(within))

    async def rest_of_request(self, start: str, fields: Fields) -> Request:
        """The request whose head is this."""
        method, target, version = start.split(" ")
        framing, length = framing_of(fields)
        body, trailers, complete = await self._body(framing or "none", length)
        return Request((method, target, version), fields, framing or "none", body, trailers, complete)

    async def answer(self, method: str = "GET") -> Answer:
        """The next final answer, as a client reads it; interim ones are kept in it."""
        interim: list[Answer] = []
        while True:
            start, fields = await self.head()
            version, _, rest = start.partition(" ")
            status, _, reason = rest.partition(" ")
            assert version == "HTTP/1.1", start
            assert status.isdigit(), start
            framing, length = framing_of(fields)
            if int(status) < 200 and status != "101":
                assert framing is None, "an interim answer has no body and no framing (RFC 9112 6)"
                interim.append(Answer((version, status, reason), fields))
                continue
            if status in {"101", "204"}:
                assert framing is None, "it has no framing (RFC 9110 8.6, RFC 9112 6.1)"
            if method == "HEAD" or status in {"101", "204", "304"}:
                framing, length = "none", 0
            body, trailers, complete = await self._body(framing or "close", length)
            return Answer(
                (version, status, reason),
                fields,
                framing or "close",
                body,
                trailers,
                complete,
                interim=tuple(interim),
            )

    async def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        async with asyncio.timeout(HANG):
            return await self.reader.readexactly(count)

    async def end(self) -> bytes:
        """What comes until the other side ends; a reset is raised."""
        async with asyncio.timeout(HANG):
            return await self.reader.read()

    async def is_closed(self) -> bool:
        """Wait for the end: True if it comes before any byte, in order or by a reset."""
        try:
            return await self.end() == b""
        except ConnectionError:
            return True

    async def received(self) -> bytes:
        """What comes until the other side ends, in whatever way."""
        content = bytearray()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(HANG):
                while piece := await self.reader.read(65536):
                    content += piece
        return bytes(content)

    def finish(self) -> None:
        """Half-close: nothing more is sent."""
        if not self.writer.can_write_eof():
            pytest.skip("asyncio has no half-close of TLS")
        self.writer.write_eof()

    def close(self) -> None:
        """Close in order."""
        self.writer.close()

    def reset(self) -> None:
        """Close with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed(self) -> None:
        """Let it go for good: an end in order would be a half-close to the other side."""
        if not self.writer.is_closing():
            self.reset()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def _body(self, framing: Framing, length: int) -> tuple[bytes, Fields, bool]:
        body = bytearray()
        trailers: Fields = ()
        try:
            async with asyncio.timeout(HANG):
                if framing == "length":
                    while len(body) < length:
                        piece = await self.reader.read(min(length - len(body), 65536))
                        if not piece:
                            return bytes(body), (), False
                        body += piece
                elif framing == "chunked":
                    trailers = await self._chunks(body)
                elif framing == "close":
                    while piece := await self.reader.read(65536):
                        body += piece
        except _BROKEN:
            return bytes(body), (), False
        return bytes(body), trailers, True

    async def _chunks(self, body: bytearray) -> Fields:
        while True:
            line = (await self.reader.readuntil(b"\r\n")).removesuffix(b"\r\n")
            assert line, "a chunk has a size"
            assert all(sign in b"0123456789abcdefABCDEF" for sign in line), f"no extension goes on: {line!r}"
            size = int(line, 16)
            if size == 0:
                break
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        trailers = []
        while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
            trailers.append(parse_field(line.removesuffix(b"\r\n").decode("latin-1")))
        return tuple(trailers)


async def ends_by_silence_alone(client: Peer, peer: Peer, limit: float) -> None:
    """See two ends of a tunnel stay open while one of them speaks, and closed when neither has for long."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    # Longer than the limit in all, but never silent for that long.
    for _ in range(4):
        await asyncio.sleep(limit / 2)
        peer.send(b"x")
        assert await client.read(1) == b"x"
    assert loop.time() - began > limit
    silent = loop.time()
    assert await client.is_closed()
    assert await peer.is_closed()
    assert limit - 0.05 <= loop.time() - silent < limit + 2
