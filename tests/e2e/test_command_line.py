"""What an operator types, and what comes of it: real processes, the real engine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from aiohttp import ClientConnectionError, ClientSession

from fairlead.admin.client import Client
from fairlead.testing.origin import Exchange, Origin, answer

SECONDS = 30.0


@dataclass
class Ended:
    """A command that came to its end."""

    code: int
    out: str
    err: str


@dataclass
class Command:
    """One that runs. Its words go to files: pipes would stay open as long as an engine that outlives it."""

    process: asyncio.subprocess.Process
    out: IO[bytes]
    err: IO[bytes]

    async def end(self) -> Ended:
        async with asyncio.timeout(SECONDS):
            code = await self.process.wait()
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read().decode())
            file.close()
        return Ended(code, *texts)


async def start(*arguments: str, ready_fd: int | None = None) -> Command:
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fairlead", *arguments),
        *(() if ready_fd is None else ("--ready-fd", str(ready_fd))),
        stdout=out,
        stderr=err,
        pass_fds=() if ready_fd is None else (ready_fd,),
    )
    return Command(process, out, err)


async def fairlead(*arguments: str) -> Ended:
    return await (await start(*arguments)).end()


@dataclass
class Instance:
    """A Fairlead that is ready."""

    process: asyncio.subprocess.Process
    directory: str
    said: Ended | None = None

    async def status(self) -> dict[str, Any]:
        status = await asyncio.to_thread(Client(self.directory).status)
        return status.model_dump(mode="json")

    async def url(self) -> str:
        return f"http://{(await self.status())['listeners'][0]['binds'][0]['bound']}/"


@asynccontextmanager
async def ready(*arguments: str, directory: Path) -> AsyncIterator[Instance]:
    """Start a command that serves, wait for its word, and stop it as an operator would."""
    reading, writing = os.pipe()
    command = await start(*arguments, "--directory", str(directory), ready_fd=writing)
    os.close(writing)
    instance = Instance(command.process, str(directory))
    with os.fdopen(reading, "rb") as line:
        async with asyncio.timeout(SECONDS):
            said = await asyncio.to_thread(line.readline)
    if said != b"ready\n":
        instance.said = await command.end()
        pytest.fail(instance.said.err)
    try:
        yield instance
    finally:
        with suppress(ProcessLookupError):
            command.process.terminate()
        instance.said = await command.end()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin(answer("hello")) as origin:
        yield origin


@pytest.fixture
def file(tmp_path: Path, origin: Origin) -> Path:
    path = tmp_path / "fairlead.yaml"
    path.write_text(
        "listeners: {web: {bind: '127.0.0.1:0', pool: app}}\n"
        f"pools: {{app: {{algorithm: first, backends: ['{origin.address}']}}}}\n"
    )
    return path


def rewrite(file: Path, before: str, after: str) -> None:
    file.write_text(file.read_text().replace(before, after))


async def ask(url: str) -> str:
    async with ClientSession() as client, client.get(url) as got:
        return await got.text()


async def test_run_serves_says_what_and_ends_with_0(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as instance:
        assert await ask(await instance.url()) == "hello"
    assert instance.said is not None
    assert instance.said.code == 0
    assert f"serves {file}" in instance.said.err
    assert "web on http://127.0.0.1:" in instance.said.err
    assert f"kill -HUP {instance.process.pid}" in instance.said.err


async def test_a_second_run_on_the_directory_is_refused(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as instance:
        second = await fairlead("run", str(file), "--directory", str(tmp_path))
        assert second.code == 1
        assert f"process {instance.process.pid} already runs Fairlead" in second.err


async def test_a_reload_is_accepted_or_refused_with_places(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as instance:
        rewrite(file, "first", "random")
        done = await fairlead("reload", "--admin", instance.directory)
        assert (done.code, done.out) == (0, "reloaded: plan 2 serves\n")
        rewrite(file, "random", "randum")
        refused = await fairlead("reload", "--admin", instance.directory)
        assert refused.code == 2
        assert f'{file}:2:26: pools.app.algorithm: unknown algorithm "randum"' in refused.err
        assert (await instance.status())["plan_version"] == 2


async def test_what_needs_a_restart_says_so_with_1(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as instance:
        rewrite(file, "listeners:", "runtime: {workers: 7}\nlisteners:")
        refused = await fairlead("reload", "--admin", instance.directory)
        assert refused.code == 1
        assert f"{file}:1:20: runtime.workers: a change of this needs a restart" in refused.err


async def test_the_second_signal_ends_what_the_first_lets_finish(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(_: Exchange) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with Origin(never) as origin:
        path = tmp_path / "fairlead.toml"
        path.write_text(
            "[listeners.web]\nbind = '127.0.0.1:0'\npool = 'app'\n"
            f"[pools.app]\nbackends = ['{origin.address}']\n"
        )
        async with ready("run", str(path), directory=tmp_path) as instance:
            asking = asyncio.create_task(ask(await instance.url()))
            await asked.wait()
            instance.process.send_signal(signal.SIGINT)
            while (await instance.status())["phase"] != "stopping":
                pass
            assert not asking.done()
        assert instance.said is not None
        assert instance.said.code == 0
        with pytest.raises(ClientConnectionError):
            await asking


async def test_an_engine_without_control_is_adopted_by_the_next_run(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as first:
        before = await first.status()
        url = await first.url()
        first.process.kill()
        await first.process.wait()
        assert await ask(url) == "hello"
        away = await fairlead("status", "--admin", first.directory)
        assert away.code == 1
        assert "fairlead run" in away.err
        async with ready("run", str(file), directory=tmp_path) as second:
            after = await second.status()
            assert after["engine"]["adopted"]
            assert after["engine"]["pid"] == before["engine"]["pid"]
            assert after["plan_version"] == before["plan_version"] + 1
            assert await second.url() == url


async def test_a_dead_engine_is_replaced_on_the_same_address(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as instance:
        before = await instance.status()
        os.kill(before["engine"]["pid"], signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            while not (after := await instance.status())["ready"] or after["engine"]["restarts"] == 0:
                pass
        assert after["listeners"][0]["binds"] == before["listeners"][0]["binds"]
        assert await ask(await instance.url()) == "hello"
    assert instance.said is not None
    assert "engine ended unasked" in instance.said.err


async def test_a_taken_address_ends_the_run_with_its_place(
    file: Path, tmp_path: Path, origin: Origin
) -> None:
    rewrite(file, "127.0.0.1:0", origin.address)
    ended = await fairlead("run", str(file), "--directory", str(tmp_path))
    assert ended.code == 1
    assert f"{file}:1:25: listeners.web.bind" in ended.err


async def test_a_faulty_file_and_a_missing_one_end_with_2(file: Path, tmp_path: Path) -> None:
    rewrite(file, "first", "last")
    ended = await fairlead("run", str(file), "--directory", str(tmp_path))
    assert ended.code == 2
    assert str(file) in ended.err
    missing = await fairlead("run", str(tmp_path / "none.yaml"))
    assert missing.code == 2


def test_check_takes_no_memory_for_tables_that_it_only_judges(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text(
        "listeners: {web: {bind: ':0', pool: app}}\n"
        "pools: {app: {backends: ['127.0.0.1:1'], affinity: {table: {max_entries: 50000000}}}}\n"
    )
    # What getrusage says of a child's peak begins with that of its parent.
    program = (
        "import atexit, pathlib, runpy, sys;"
        "atexit.register(lambda: print(pathlib.Path('/proc/self/status').read_text()));"
        "runpy.run_module('fairlead', run_name='__main__')"
    )
    checked = subprocess.run(
        [sys.executable, "-c", program, "check", str(file)], capture_output=True, text=True, check=True
    )
    peak = next(line for line in checked.stdout.splitlines() if line.startswith("VmHWM:"))
    # The table would have 400 MB; Python and the models take 60.
    assert int(peak.split()[1]) < 200_000


async def test_proxy_serves_without_a_file(tmp_path: Path, origin: Origin) -> None:
    async with ready("proxy", "127.0.0.1:0", f"{origin.address}=3", directory=tmp_path) as instance:
        assert await ask(await instance.url()) == "hello"
        assert (await instance.status())["pools"][0]["backends"][0]["weight"] == 3


async def test_status_is_a_table_and_nothing_there_is_explained(file: Path, tmp_path: Path) -> None:
    async with ready("run", str(file), directory=tmp_path) as instance:
        await ask(await instance.url())
        as_json = await fairlead("status", "--admin", instance.directory, "--json")
        assert json.loads(as_json.out)["plan_version"] == 1
        shown = await fairlead("status", "--admin", instance.directory)
        assert shown.code == 0
        row = next(line for line in shown.out.splitlines() if line.startswith("app"))
        assert "100.0%" in row
    gone = await fairlead("status", "--admin", str(tmp_path))
    assert gone.code == 1
    assert "nothing answers" in gone.err


async def test_the_demo_ends_by_itself_and_nothing_failed() -> None:
    async with asyncio.timeout(60):
        ended = await fairlead("demo")
    assert ended.code == 0, ended.out + ended.err
    assert " 0 failed" in ended.out
    assert "was killed" in ended.out


@pytest.mark.parametrize("verb", ["run", "proxy", "status", "reload", "demo"])
async def test_every_help_has_an_example(verb: str) -> None:
    ended = await fairlead(verb, "--help")
    assert ended.code == 0
    assert "Example" in ended.out
    assert f"  fairlead {verb}" in ended.out
