"""Clients that ask all the time, each over sessions of its own, and what they saw of a failing server."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Ask = Callable[[], Awaitable[str]]
"""Asks one question, sees that the answer is right, and says which server gave it."""

Session = Callable[[], AbstractAsyncContextManager[Ask]]
"""Opens a connection on which is asked."""

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Loss:
    """A session that broke; without a server it broke before its first answer."""

    server: str | None
    opened: float
    error: str


class Traffic:
    """So many clients. A session ends by itself after so many questions, and another one is opened."""

    def __init__(self, session: Session, lost: tuple[type[Exception], ...], *, clients: int = 12) -> None:
        self.answers: Counter[str] = Counter()
        self.losses: list[Loss] = []
        self._session = session
        self._lost = lost
        self._clients = clients
        self._over = False
        self._answered = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for number in range(self._clients):
            # Not all at once, later on neither.
            self._tasks.create_task(self._client(20 + number))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        await self._tasks.__aexit__(kind, error, trace)

    async def more(self, server: str, count: int = 200) -> None:
        """Wait for so many further answers of a server."""
        wanted = self.answers[server] + count
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.answers[server] < wanted:
                self._answered.clear()
                await self._answered.wait()

    def lost_with(self, server: str, dead: float) -> int:
        """How many sessions were lost; all of them were of `server` and opened before it was `dead`.

        They are told once: the next time only later ones are.
        """
        losses, self.losses = self.losses, []
        for loss in losses:
            assert loss.server in {server, None}, loss
            assert loss.opened < dead, f"{loss}, but since {dead} nobody is to be sent there"
        return len(losses)

    async def _client(self, questions: int) -> None:
        clock = asyncio.get_running_loop().time
        while not self._over:
            opened, server = clock(), None
            try:
                async with self._session() as ask:
                    for _ in range(questions):
                        server = await ask()
                        self.answers[server] += 1
                        self._answered.set()
            except self._lost as error:
                self.losses.append(Loss(server, opened, f"{type(error).__name__}: {error}"))
