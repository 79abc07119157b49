"""Datagrams in the test's hand: backends that answer as they are told, clients with sockets of their own."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from support import metrics
from support.peer import HANG
from support.process import Running, run, write

RESEND_SECONDS = 0.3
"""After which a client asks again: a datagram may be lost."""

Address = tuple[str, int]
Answers = Callable[[bytes], Iterable[bytes]]


def split(address: str) -> Address:
    """`127.0.0.1:53` as a socket wants it."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def same(question: bytes) -> Iterable[bytes]:
    """What an echo answers."""
    return (question,)


class Origin(asyncio.DatagramProtocol):
    """A backend. It answers each datagram with what `answers` makes of it."""

    def __init__(self, answers: Answers = same) -> None:
        self.answers = answers
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.heard: Counter[Address] = Counter()
        """Datagrams by who sent them: each session has an address of its own."""

        self.at: Address = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket
        self._closed = asyncio.Event()

    @property
    def address(self) -> str:
        """As a configuration has it."""
        host, port = self.at
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Receive, where it was before if it was anywhere."""
        loop = asyncio.get_running_loop()
        self._closed.clear()
        family = socket.AF_INET6 if ":" in self.at[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._socket.bind(self.at)
        self.at = self._socket.getsockname()[:2]
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)

    async def stop(self) -> None:
        """Nobody is there any more: the machine answers by ICMP."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
            await self._closed.wait()

    def send(self, words: bytes, to: Address) -> None:
        """Say something without being asked."""
        # Not by the transport, which takes an empty datagram for none.
        self._socket.sendto(words, to)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Answer."""
        self.received.put_nowait((data, addr[:2]))
        self.heard[addr[:2]] += 1
        for answer in self.answers(data):
            self.send(answer, addr[:2])

    def connection_lost(self, _: Exception | None) -> None:
        """The socket is about to be closed, in this turn."""
        self._closed.set()

    async def next(self) -> tuple[bytes, Address]:
        """What came, and from where."""
        async with asyncio.timeout(HANG):
            return await self.received.get()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class Client:
    """A socket that hears nobody but whom it asks."""

    def __init__(self, to: str, source: str | None = None, own_port: int = 0) -> None:
        host, port = split(to)
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0)
        if source is not None:
            self.socket.bind((source, own_port))
        self.socket.connect((host, port))

    @property
    def port(self) -> int:
        """Its own."""
        return int(self.socket.getsockname()[1])

    def send(self, words: bytes) -> None:
        """Say something."""
        self.socket.send(words)

    async def receive(self, seconds: float = HANG) -> bytes:
        """What comes next."""
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().sock_recv(self.socket, 65536)

    async def ask(self, words: bytes) -> bytes:
        """Say it until something is answered; what is."""
        async with asyncio.timeout(HANG):
            while True:
                self.send(words)
                with contextlib.suppress(TimeoutError):
                    return await self.receive(RESEND_SECONDS)

    async def echoes(self, words: bytes = b"still here") -> None:
        """Say it once, and hear the same."""
        self.send(words)
        assert await self.receive() == words

    def hears_nothing(self) -> bool:
        """Nothing has come that wasn't read."""
        try:
            self.socket.recv(65536)
        except BlockingIOError:
            return True
        return False

    def __del__(self) -> None:
        """A client that no test has any more is gone."""
        self.socket.close()


@dataclass
class Ground:
    """A Fairlead with UDP listeners."""

    fairlead: Running
    addresses: dict[str, str]

    def client(self, listener: str = "game", source: str | None = None, port: int = 0) -> Client:
        """A new client of a listener."""
        return Client(self.addresses[listener], source, port)

    async def metric(self, name: str, /, **labels: str) -> float:
        """The sum of the series of a metric that have these labels."""
        status, page = await self.fairlead.admin("/metrics")
        assert status == 200, page
        return metrics.value(metrics.parse(page), name, **labels)

    async def until(self, name: str, wanted: float, /, **labels: str) -> None:
        """Wait until a metric has a value."""
        async with asyncio.timeout(HANG):
            while await self.metric(name, **labels) != wanted:
                pass

    async def dropped(self, reason: str, listener: str = "game") -> float:
        """How many datagrams went no further for this reason."""
        return await self.metric("fairlead_datagrams_dropped_total", listener=listener, reason=reason)


def configuration(folder: Path, listeners: Mapping[str, Any], pools: Mapping[str, Any]) -> dict[str, Any]:
    """UDP listeners on free ports; one without a pool has `app`."""
    return {
        "runtime": {"directory": str(folder), "workers": 1},
        "listeners": {
            name: {"bind": f"127.0.0.{number}:0", "protocol": "udp", "pool": "app", **listener}
            for number, (name, listener) in enumerate(listeners.items(), 1)
        },
        "pools": dict(pools),
    }


@contextlib.asynccontextmanager
async def grounds(folder: Path, wanted: Mapping[str, Any]) -> AsyncIterator[Ground]:
    """Start a Fairlead with this configuration."""
    write(folder / "fairlead.json", wanted)
    async with run(folder / "fairlead.json", folder) as fairlead:
        found = (await fairlead.status())["listeners"]
        yield Ground(fairlead, {each["name"]: each["binds"][0]["bound"] for each in found})
