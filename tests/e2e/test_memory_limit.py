"""`runtime.max_memory`: an engine above it takes no new work, says so, and goes on with what it has."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from support import metrics
from support.backend import OK, Backend, answering
from support.message import Answer
from support.peer import Peer
from support.process import Running, configuration, run, write

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def _asked(fairlead: Running) -> Answer:
    client = await Peer.connect(await fairlead.address())
    client.send(GET)
    answer = await client.answer()
    await client.closed()
    return answer


@contextlib.asynccontextmanager
async def _limited(directory: Path, most: str) -> AsyncIterator[tuple[Running, Backend]]:
    async with Backend(answering(OK)) as backend:
        wanted = configuration(directory, backend.address)
        wanted["runtime"]["max_memory"] = most
        write(directory / "fairlead.json", wanted)
        async with run(directory / "fairlead.json", directory) as fairlead:
            yield fairlead, backend


async def test_above_its_memory_an_engine_refuses_new_connections(tmp_path: Path) -> None:
    # Less than any process has.
    async with _limited(tmp_path, "1MiB") as (fairlead, backend):
        while (answer := await _asked(fairlead)).status == 200:
            pass  # its memory is looked at once a second
        assert (answer.status, answer.value("Retry-After")) == (503, "1")
        assert "short of memory" in (answer.value("Proxy-Status") or "")
        served = len(backend.requests)
        assert (await _asked(fairlead)).status == 503
        assert len(backend.requests) == served
        await fairlead.said("memory pressure")
        page = metrics.parse((await fairlead.admin("/metrics"))[1])
        assert metrics.value(page, "fairlead_connections_refused_total", reason="memory") == 2
        # Whoever looks after it is let in.
        assert (await fairlead.admin("/healthz"))[0] == 200


async def test_below_its_memory_an_engine_serves(tmp_path: Path) -> None:
    async with _limited(tmp_path, "8GiB") as (fairlead, _):
        assert (await _asked(fairlead)).status == 200
