"""Real requests: a few clients with a connection each, asking one thing after another."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field

CLIENTS = 16
_PAUSE_SECONDS = 0.01
"""Between two requests of a client: some thousand a second in all would only show how fast this script is."""

_ANSWER_SECONDS = 10.0
_KEPT_LATENCIES = 20_000

_REQUEST = b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n"


@dataclass(slots=True)
class Tally:
    """What a stretch of time brought."""

    answers: Counter[str] = field(default_factory=Counter)
    """By backend."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Spent waiting for each backend, in all."""

    failures: list[str] = field(default_factory=list)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    began: float = field(default_factory=time.monotonic)

    def answered(self, backend: str, seconds: float) -> None:
        """Count an answer."""
        self.answers[backend] += 1
        self.seconds[backend] = self.seconds.get(backend, 0.0) + seconds
        self.latencies.append(seconds)

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Load:
    """Asks until it is cancelled; counts in all, and since the last `turn`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.total = Tally()
        self.stretch = Tally()

    def turn(self) -> Tally:
        """Begin a new stretch, and return the one that ends."""
        ended, self.stretch = self.stretch, Tally()
        return ended

    async def run(self) -> None:
        """Ask."""
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(self._client())

    async def _client(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                self._failed(f"cannot connect: {error}")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                while True:
                    await self._ask(reader, writer)
                    await asyncio.sleep(_PAUSE_SECONDS)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                self._failed(f"no answer: {error!r}")
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        writer.write(_REQUEST)
        async with asyncio.timeout(_ANSWER_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)
            }
            await reader.readexactly(int(fields["content-length"]))
        status = head[0].split(" ")[1]
        if status != "200":
            self._failed(f"answered {status}")
            return
        backend, seconds = fields.get("x-backend", "?"), time.monotonic() - began
        for tally in (self.total, self.stretch):
            tally.answered(backend, seconds)

    def _failed(self, reason: str) -> None:
        for tally in (self.total, self.stretch):
            tally.failures.append(reason)
