"""An MQTT 3.1.1 client that publishes with QoS 1 and hears what it subscribed to, and a broker for it."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

from support.peer import HANG
from support.program import installed, on_a_free_port, until_it_answers


class Packet(IntEnum):
    """Control packets with the flags they have (MQTT 3.1.1, 2.2)."""

    CONNECT = 0x10
    CONNACK = 0x20
    PUBLISH = 0x30
    PUBLISH_ONCE = 0x32  # QoS 1
    PUBACK = 0x40
    SUBSCRIBE = 0x82
    SUBACK = 0x90
    PINGREQ = 0xC0
    PINGRESP = 0xD0


def _text(content: bytes) -> bytes:
    return struct.pack("!H", len(content)) + content


class Client:
    """A connection to a broker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last = 0

    @classmethod
    async def connect(cls, address: str, name: str) -> Self:
        """Connect and be accepted, with a session that begins anew."""
        host, _, port = address.rpartition(":")
        client = cls(*await asyncio.open_connection(host, int(port)))
        try:
            clean, keep_alive = 0x02, 60
            await client._ask(
                Packet.CONNECT,
                _text(b"MQTT") + struct.pack("!BBH", 4, clean, keep_alive) + _text(name.encode()),
                (Packet.CONNACK, b"\0\0"),
            )
        except BaseException:
            await client.close()
            raise
        return client

    async def subscribe(self, topic: str) -> None:
        """Hear what is published there, each message at most once."""
        number = self._number()
        await self._ask(
            Packet.SUBSCRIBE, number + _text(topic.encode()) + b"\0", (Packet.SUBACK, number + b"\0")
        )

    async def publish(self, topic: str, content: bytes) -> None:
        """Give a message to the broker, which answers for it."""
        number = self._number()
        await self._ask(
            Packet.PUBLISH_ONCE, _text(topic.encode()) + number + content, (Packet.PUBACK, number)
        )

    async def ping(self) -> None:
        """See that the broker is there."""
        await self._ask(Packet.PINGREQ, b"", (Packet.PINGRESP, b""))

    async def message(self) -> bytes:
        """The next message that was published."""
        packet, content = await self._next()
        assert packet == Packet.PUBLISH
        (length,) = struct.unpack_from("!H", content)
        return content[2 + length :]

    async def close(self) -> None:
        """Go without a word."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _number(self) -> bytes:
        self._last += 1
        return struct.pack("!H", self._last)

    async def _ask(self, packet: Packet, content: bytes, answer: tuple[Packet, bytes]) -> None:
        self._writer.write(bytes([packet]) + _length(len(content)) + content)
        assert await self._next() == answer

    async def _next(self) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(HANG):
                (packet,) = await self._reader.readexactly(1)
                length = shift = 0
                while True:
                    (byte,) = await self._reader.readexactly(1)
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                return packet, await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError from error


def _length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


@dataclass
class Broker:
    """A mosquitto that keeps nothing."""

    file: Path
    port: int
    process: asyncio.subprocess.Process

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """As a machine that dies."""
        self.process.kill()
        await self.process.wait()

    async def restart(self) -> None:
        """The same again, on the same port."""
        self.process = (await _start(self.file, self.port)).process


@contextlib.asynccontextmanager
async def broker(directory: Path, name: str) -> AsyncIterator[Broker]:
    """Start one; without the program the test is skipped, except in CI."""
    file = directory / f"{name}.conf"
    started = await on_a_free_port(lambda port: _start(file, port))
    try:
        yield started
    finally:
        if started.process.returncode is None:
            await started.kill()


def _configure(file: Path, port: int) -> None:
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")


async def _start(file: Path, port: int) -> Broker:
    _configure(file, port)
    process = await asyncio.create_subprocess_exec(
        *(installed("mosquitto", "mosquitto", "sbin"), "-c", str(file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def answers() -> bool:
        with contextlib.suppress(OSError):
            await (await Client.connect(f"127.0.0.1:{port}", "first")).close()
            return True
        return False

    await until_it_answers(process, answers)
    return Broker(file, port, process)
