"""An engine without file descriptors serves what is open, and new connections as soon as there is room."""

import resource
from pathlib import Path

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_open_connections_are_served_while_new_ones_wait(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    engine = stage.engine
    clients = [await stage.client() for _ in range(4)]
    for client in clients:
        client.send(GET)
        assert (await client.answer()).status == 200
    soft, hard = resource.prlimit(engine, resource.RLIMIT_NOFILE)
    resource.prlimit(engine, resource.RLIMIT_NOFILE, (_lowest_free(engine), hard))
    try:
        late = [await stage.client() for _ in range(10)]
        for client in late:
            client.send(GET)
        for _ in range(20):
            for client in clients:
                client.send(GET)
                assert (await client.answer()).status == 200
        # One may be told that there is no room; nobody hears anything else, or is reset.
        told = [client for client in late if client.reader._buffer]  # noqa: SLF001 - what is there by now
        for client in told:
            assert (await client.answer()).status == 503
            late.remove(client)
    finally:
        resource.prlimit(engine, resource.RLIMIT_NOFILE, (soft, hard))
    for client in late:
        answer = await client.answer()
        assert answer.status in {200, 503}
    fresh = await stage.ask(GET)
    assert fresh.status == 200
    assert engine == stage.engine


def _lowest_free(pid: int) -> int:
    """The number that the next descriptor of a process would have."""
    used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(used) + 1) if number not in used)
