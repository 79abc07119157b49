"""`runtime.max_memory`: an engine above it takes no new work, says so, and goes on with what it has."""

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


async def test_above_its_memory_an_engine_refuses_new_connections(tmp_path: Path) -> None:
    async with Backend(answering(OK)) as backend:
        wanted = configuration(tmp_path, backend.address)
        # Less than any process has.
        wanted["runtime"]["max_memory"] = "1MiB"
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            while (answer := await _asked(fairlead)).status == 200:
                pass  # its memory is looked at once a second
            assert (answer.status, answer.value("Retry-After")) == (503, "1")
            assert "short of memory" in (answer.value("Proxy-Status") or "")
            served = len(backend.requests)
            assert (await _asked(fairlead)).status == 503
            assert len(backend.requests) == served
            await fairlead.said("memory pressure")
            page = metrics.parse((await fairlead.admin("/metrics"))[1])
            refused = metrics.value(page, "fairlead_connections_refused_total", reason="memory")
            assert refused == 2
            # Whoever looks after it is let in.
            assert (await fairlead.admin("/healthz"))[0] == 200


async def test_below_its_memory_an_engine_serves(tmp_path: Path) -> None:
    async with Backend(answering(OK)) as backend:
        wanted = configuration(tmp_path, backend.address)
        wanted["runtime"]["max_memory"] = "8GiB"
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            assert (await _asked(fairlead)).status == 200
