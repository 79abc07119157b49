"""An engine in a process of its own: started, adopted, refused, dead. The process is a stand-in."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairlead.control.errors import EngineLost, EngineMismatch, PlanRefused, SettingsDiffer
from fairlead.control.host import VERSION, ProcessHost
from fairlead.control.messages import MemberList, Settings, stop_command

PROGRAM = (sys.executable, str(Path(__file__).parents[2] / "support" / "fake_engine.py"))
SPEC = {
    "version": 1,
    "listeners": [{"name": "web", "binds": [{"text": ":0", "address": {}, "port_hint": None}]}],
}


class Hosts:
    """Makes hosts on one directory, and ends their engines when the test does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.made: list[ProcessHost] = []

    def new(self, workers: int = 1) -> ProcessHost:
        host = ProcessHost(Settings(directory=str(self.directory), workers=workers), PROGRAM)
        self.made.append(host)
        return host

    async def end(self) -> None:
        for host in self.made:
            host.kill()
            if host._pid is not None:  # noqa: SLF001 - reaped, or it would be reported as left running
                await host.closed
            await host.release()


@pytest.fixture
async def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hosts]:
    monkeypatch.setenv("FAKE_ENGINE_VERSION", VERSION)
    hosts = Hosts(tmp_path)
    yield hosts
    await hosts.end()


async def test_a_started_engine_takes_calls_and_ends_on_command(hosts: Hosts) -> None:
    host = hosts.new()
    hello = await host.start()
    assert not host.adopted
    assert hello.plan_version is None
    applied = await host.apply(SPEC)
    assert (applied.version, applied.bound) == (1, {"web": {":0": "127.0.0.1:4001"}})
    await host.members(MemberList("app", ()), 3)
    assert (await host.stats()).generations() == {"app": 3}
    await host.command(stop_command(1.0))
    assert await host.closed == 0


async def test_the_engine_is_in_a_session_of_its_own(hosts: Hosts) -> None:
    hello = await hosts.new().start()
    assert os.getsid(hello.pid) == hello.pid


async def test_an_engine_that_was_let_go_serves_on_and_is_adopted(hosts: Hosts) -> None:
    first = hosts.new()
    started = await first.start()
    await first.apply(SPEC)
    await first._channel.close()  # type: ignore[union-attr]  # noqa: SLF001 - as if control had died
    second = hosts.new()
    adopted = await second.start()
    assert second.adopted
    assert adopted.pid == started.pid
    assert adopted.plan_version == 1
    assert adopted.bound == {"web": {":0": "127.0.0.1:4001"}}
    os.kill(adopted.pid, signal.SIGKILL)
    assert await first.closed == -signal.SIGKILL
    assert await second.closed is None


async def test_an_engine_with_other_settings_is_refused_by_name(hosts: Hosts) -> None:
    hello = await hosts.new(workers=1).start()
    with pytest.raises(SettingsDiffer, match=rf"{hello.pid}.*workers"):
        await hosts.new(workers=2).start()


async def test_an_engine_of_another_version_is_refused(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE", "other_version")
    with pytest.raises(EngineMismatch):
        await hosts.new().start()


async def test_a_socket_file_on_which_nobody_listens_is_no_engine(hosts: Hosts) -> None:
    first = hosts.new()
    await first.start()
    first.kill()
    await first.closed
    assert (hosts.directory / "engine.sock").exists()
    second = hosts.new()
    await second.start()
    assert not second.adopted


async def test_a_death_before_it_is_ready_says_how(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE", "dies_at_start")
    with pytest.raises(EngineLost, match="exit code 3"):
        await hosts.new().start()


async def test_a_death_during_a_call_fails_the_call_and_closes(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE", "dies_at_apply")
    host = hosts.new()
    await host.start()
    with pytest.raises(EngineLost):
        await host.apply(SPEC)
    async with asyncio.timeout(5):
        assert await host.closed == 3
        assert [update async for update in host.updates()] == []


async def test_a_refusal_is_an_error_of_the_plan(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE", "refuses")
    host = hosts.new()
    await host.start()
    with pytest.raises(PlanRefused, match=r"pools\.app: no"):
        await host.apply(SPEC)
