"""An operator drains, disables and weighs backends of a running Fairlead, by its command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fairlead.admin.client import Client
from fairlead.testing.origin import Origin, answer
from support.backend import OK, SWITCHING, UPGRADE, answering
from support.browser import Browser
from support.process import configuration, engines, run, write
from support.stage import staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.peer import Peer
    from support.stage import Stage

CONFIGURATION: dict[str, Any] = {
    "listeners": {"web": {}, "quick": {"pool": "quick"}},
    "pools": {
        "app": {"backends": [{"address": "@app", "name": "one"}, {"address": "@two", "name": "two"}]},
        "quick": {"backends": [{"address": "@app", "name": "one"}], "drain": "1s"},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, CONFIGURATION) as stage:
        yield stage


async def fairlead(stage: Stage, *arguments: str) -> tuple[int, str]:
    directory = str(stage.fairlead.directory)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fairlead", *arguments, "--admin", directory),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def operate(stage: Stage, *arguments: str) -> dict[str, Any]:
    code, output = await fairlead(stage, *arguments, "--json")
    assert code == 0, output
    found: dict[str, Any] = json.loads(output)
    return found


async def download(stage: Stage, listener: str = "web") -> tuple[Peer, Peer]:
    """A client and the backend `app` in the middle of an answer."""
    client = await stage.client(listener)
    client.send(GET)
    peer, _ = await stage.backend.received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    assert (await client.head())[0] == "HTTP/1.1 200 OK"
    assert await client.read(5) == b"hello"
    return client, peer


async def tunnel(stage: Stage, listener: str = "web") -> tuple[Peer, Peer]:
    client = await stage.client(listener)
    client.send(UPGRADE)
    peer, _ = await stage.backend.received()
    peer.send(SWITCHING)
    assert (await client.answer()).status == 101
    return client, peer


async def backends(stage: Stage) -> list[dict[str, Any]]:
    """Those of the pool `app`, as they are now."""
    found: list[dict[str, Any]] = (await stage.fairlead.stats())["pools"][0]["backends"]
    return found


async def only(stage: Stage, backend: str) -> None:
    """Have the other one drained, so that the next request goes where it should."""
    other = {"one": "two", "two": "one"}[backend]
    await operate(stage, "drain", f"app/{other}")


async def shares(stage: Stage, times: int) -> dict[str, int]:
    """How many of so many requests each backend gets."""
    for backend in stage.backends.values():
        backend.requests.clear()
        backend.behaviour = answering(OK)
    for _ in range(times):
        assert (await stage.ask(GET)).status == 200
    return {name: len(backend.requests) for name, backend in stage.backends.items()}


async def test_a_drained_backend_finishes_what_it_has_and_gets_nothing_new(stage: Stage) -> None:
    await only(stage, "one")
    loading, origin = await download(stage)
    chatting, other_end = await tunnel(stage)
    assert (await operate(stage, "undrain", "app/two"))["state"] == "up"
    drained = await operate(stage, "drain", "app/one")
    assert (drained["state"], drained["open"], drained["backend"]) == ("draining", 2, "one")
    assert drained["deadline_ms"] > 0
    assert await shares(stage, 6) == {"app": 0, "two": 6}
    origin.send(b"there")
    assert await loading.read(5) == b"there"
    other_end.send(b"still")
    assert await chatting.read(5) == b"still"
    assert (await operate(stage, "undrain", "app/one"))["open"] == 1
    # The connection of the download is idle now, and nobody answers on it.
    await origin.closed()
    assert await shares(stage, 6) == {"app": 3, "two": 3}


async def test_what_a_drained_backend_still_has_is_cut_at_the_deadline(stage: Stage) -> None:
    loading, _ = await download(stage, "quick")
    chatting, _ = await tunnel(stage, "quick")
    loop = asyncio.get_running_loop()
    began = loop.time()
    await operate(stage, "drain", "quick/one")
    assert await loading.is_closed()
    assert await chatting.is_closed()
    # Its clock runs a moment before the command has ended, never before it began.
    assert 1.0 <= loop.time() - began < 10
    assert (await stage.ask(GET, "quick")).status == 503
    await operate(stage, "undrain", "quick/one")
    stage.backend.behaviour = answering(OK)
    assert (await stage.ask(GET, "quick")).status == 200


async def test_a_drain_is_waited_for_until_nothing_is_open(stage: Stage) -> None:
    await only(stage, "one")
    loading, origin = await download(stage)
    waiting = asyncio.create_task(fairlead(stage, "drain", "app/one", "--wait"))
    while not (await backends(stage))[0]["operator"]:
        pass
    shown = (await fairlead(stage, "status"))[1]
    assert "drained by an operator: 1 open, cut in" in shown
    assert not waiting.done()
    origin.send(b"there")
    assert await loading.read(5) == b"there"
    code, output = await waiting
    assert code == 0
    first, last = output.splitlines()
    assert first.startswith("app/one: draining, weight 1, 1 open, cut in ")
    assert last == "app/one: draining, weight 1, 0 open"


async def test_a_wait_for_a_drain_that_is_taken_back_says_so(stage: Stage) -> None:
    await only(stage, "one")
    await download(stage)
    waiting = asyncio.create_task(fairlead(stage, "drain", "app/one", "--wait"))
    while not (await backends(stage))[0]["operator"]:
        pass
    await operate(stage, "undrain", "app/one")
    code, output = await waiting
    assert code == 1
    assert "app/one is no longer drained" in output


async def test_a_draining_backend_keeps_the_clients_it_knows_until_its_deadline(tmp_path: Path) -> None:
    async with Origin(answer("one")) as one, Origin(answer("two")) as two:
        both = [{"address": one.address, "name": "one"}, {"address": two.address, "name": "two"}]
        file = tmp_path / "fairlead.json"
        write(file, configuration(tmp_path, *both, affinity={"cookie": {}}, drain="3s"))
        async with run(file, tmp_path) as running:
            address, client = await running.address(), Client(str(tmp_path))
            known = Browser()
            home = await known.text(address)
            other = {"one": "two", "two": "one"}[home]
            await asyncio.to_thread(client.operate, "app", home, "drain")
            assert await known.text(address) == home
            assert {await Browser().text(address) for _ in range(4)} == {other}
            while (await asyncio.to_thread(client.backend, "app", home)).state != "disabled":
                pass
            assert await known.text(address) == other


async def test_a_disabled_backend_is_cut_at_once(stage: Stage) -> None:
    await only(stage, "one")
    loading, _ = await download(stage)
    chatting, _ = await tunnel(stage)
    await operate(stage, "undrain", "app/two")
    assert (await operate(stage, "disable", "app/one"))["state"] == "disabled"
    assert await loading.is_closed()
    assert await chatting.is_closed()
    assert await shares(stage, 4) == {"app": 0, "two": 4}
    assert (await operate(stage, "enable", "app/one"))["state"] == "up"
    assert await shares(stage, 4) == {"app": 2, "two": 2}


async def test_a_weight_changes_shares_until_it_is_given_back(stage: Stage) -> None:
    assert (await operate(stage, "weight", "app/one", "3"))["weight"] == 3
    assert await shares(stage, 8) == {"app": 6, "two": 2}
    assert (await operate(stage, "weight", "app/one", "configured"))["weight"] == 1
    assert await shares(stage, 8) == {"app": 4, "two": 4}


async def test_settings_survive_a_reload_and_the_death_of_the_engine(stage: Stage) -> None:
    await operate(stage, "weight", "app/two", "5")
    await operate(stage, "drain", "app/one")
    configuration = json.loads(stage.fairlead.config.read_text())
    await stage.fairlead.reload(configuration)
    assert await shares(stage, 4) == {"app": 0, "two": 4}
    killed = stage.engine
    os.kill(killed, signal.SIGKILL)
    while engines(stage.fairlead.directory) in ([], [killed]) or not await _is_ready(stage):
        pass
    assert await shares(stage, 4) == {"app": 0, "two": 4}
    backends = (await stage.fairlead.stats())["pools"][0]["backends"]
    assert [(one["state"], one["weight"]) for one in backends] == [("draining", 1), ("up", 5)]


async def test_settings_are_taken_over_with_an_engine_that_is_adopted(tmp_path: Path) -> None:
    async with Origin(answer("one")) as one, Origin(answer("two")) as two:
        both = [{"address": one.address, "name": "one"}, {"address": two.address, "name": "two"}]
        file, client = tmp_path / "fairlead.json", Client(str(tmp_path))
        write(file, configuration(tmp_path, *both))
        async with run(file, tmp_path) as first:
            await asyncio.to_thread(client.operate, "app", "one", "drain")
            await asyncio.to_thread(client.operate, "app", "two", "weight", {"weight": 5})
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
            async with run(file, tmp_path) as second:
                status = await second.status()
                assert status["engine"]["adopted"]
                found = status["pools"][0]["backends"]
                assert [(each["state"], each["weight"]) for each in found] == [("draining", 1), ("up", 5)]
                assert {await Browser().text(await second.address()) for _ in range(4)} == {"two"}
                assert (await asyncio.to_thread(client.operate, "app", "one", "undrain")).state == "up"


async def test_a_name_that_is_not_there_is_refused_with_the_nearest(stage: Stage) -> None:
    for target, near in (("ap/one", "app"), ("app/onne", "one")):
        code, output = await fairlead(stage, "drain", target)
        assert code == 1
        assert f'did you mean "{near}"' in output
    code, output = await fairlead(stage, "drain", "app")
    assert code == 2
    assert "a pool, a slash and a backend" in output


async def _is_ready(stage: Stage) -> bool:
    try:
        return bool((await stage.fairlead.status())["ready"])
    except (OSError, AssertionError):
        return False
