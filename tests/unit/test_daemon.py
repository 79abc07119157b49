"""A life of the control process, before a stand-in for the engine."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fairlead.admin.client import Client
from fairlead.control.errors import AlreadyRunning, EngineLost, PlanRefused
from fairlead.control.host import VERSION
from fairlead.control.source import FileSource
from fairlead.daemon import Daemon, Options
from fairlead.errors import ConfigurationError, UsageError
from fairlead.model import Configuration
from fairlead.model.status import ReloadResult, Status

ENGINE = (sys.executable, str(Path(__file__).parents[1] / "support" / "fake_engine.py"))


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE_VERSION", VERSION)


class Instance:
    """A configuration file, and a control process that serves it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "fairlead.json"
        self.client = Client(str(directory))
        self.announced: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        self.write()

    def write(self, **changes: Any) -> None:  # noqa: ANN401 - a configuration's keys
        configuration: dict[str, Any] = {
            "logging": {"level": "error"},
            "listeners": {"web": {"bind": "127.0.0.1:0", "pool": "app"}},
            "pools": {"app": {"backends": ["127.0.0.1:9001"]}},
        }
        self.file.write_text(json.dumps(configuration | changes, indent=1))

    def daemon(self) -> Daemon:
        def announce(status: Status, _: Configuration) -> None:
            self.announced.set_result(status)

        options = Options(directory=self.directory, engine=ENGINE, announce=announce)
        return Daemon(FileSource(str(self.file)), options)

    async def status(self) -> Status:
        return await asyncio.to_thread(self.client.status)

    async def reload(self) -> ReloadResult:
        return await asyncio.to_thread(self.client.reload)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Instance]:
    instance = Instance(directory)
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(instance.daemon().run())
        ready = asyncio.ensure_future(instance.announced)
        await asyncio.wait([life, ready], return_when=asyncio.FIRST_COMPLETED)
        yield instance
        if not life.done():
            os.kill(os.getpid(), signal.SIGTERM)


async def test_it_serves_says_so_and_ends_with_its_engine(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        status = instance.announced.result()
        assert (status.phase, status.ready, status.plan_version) == ("serving", True, 1)
        assert status.plan is not None
        assert status.plan.source == str(instance.file)
        assert await instance.status() == status
        assert status.engine is not None
        pid = status.engine.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_reload_counts_what_was_accepted(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        instance.write(pools={"app": {"backends": ["127.0.0.1:9002"]}})
        assert await instance.reload() == ReloadResult(accepted=True, plan_version=2)
        assert (await instance.status()).plan_version == 2


async def test_a_faulty_file_is_shown_with_its_places_and_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        instance.write(pools={"app": {"backends": ["127.0.0.1:9001"], "algorithm": "leastconn"}})
        result = await instance.reload()
        assert not result.accepted
        assert result.plan_version == 1
        assert [one.where for one in result.problems] == [f"{instance.file}:16:17: pools.app.algorithm"]
        status = await instance.status()
        assert status.plan_version == 1
        assert status.reload is not None
        assert status.reload.problems == result.problems


async def test_what_needs_a_restart_is_refused_at_its_place(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        instance.write(runtime={"workers": 3})
        result = await instance.reload()
        assert (result.accepted, result.needs_restart) == (False, True)
        assert "runtime.workers" in result.problems[0].where
        assert "needs a restart" in result.problems[0].message


async def test_names_are_resolved_before_their_pool_serves(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        instance.write(pools={"app": {"backends": ["localhost:9001"]}})
        assert (await instance.reload()).accepted
        async with asyncio.timeout(10):
            while not (pools := (await instance.status()).pools) or pools[0].generation < 1:
                pass


async def test_a_dead_engine_is_replaced_and_serves_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        engine = instance.announced.result().engine
        assert engine is not None
        os.kill(engine.pid, signal.SIGKILL)
        status = await instance.status()
        async with asyncio.timeout(10):
            while status.engine is None or status.engine.restarts == 0 or not status.ready:
                status = await instance.status()
        assert status.engine.pid != engine.pid
        assert status.plan_version == 1


async def test_a_second_one_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        with pytest.raises(AlreadyRunning, match=str(os.getpid())):
            await instance.daemon().run()


async def test_a_hangup_reloads(tmp_path: Path) -> None:
    async with running(tmp_path) as instance:
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while (await instance.status()).plan_version != 2:
                pass


@pytest.mark.parametrize("mode", ["dies_at_apply", "dies_at_start"])
async def test_an_engine_that_never_serves_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("FAKE_ENGINE", mode)
    with pytest.raises(EngineLost, match="before it"):
        await Instance(tmp_path).daemon().run()


async def test_a_refused_first_configuration_is_shown_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE", "refuses")
    with pytest.raises(PlanRefused, match=r"fairlead\.json:12:3: pools\.app: no"):
        await Instance(tmp_path).daemon().run()


async def test_an_unknown_user_is_refused_before_anything_starts(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.write(runtime={"user": "nobody-of-that-name"})
    with pytest.raises(UsageError, match="nobody-of-that-name"):
        await instance.daemon().run()
    assert not (tmp_path / "engine.sock").exists()


async def test_a_faulty_file_starts_nothing(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.write(pools={})
    with pytest.raises(ConfigurationError):
        await instance.daemon().run()
    assert os.listdir(tmp_path) == ["fairlead.json"]  # noqa: PTH208
