"""Either process is killed: control may die without anybody noticing, the engine comes back where it was."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from support import load
from support.origins import origins
from support.process import configuration, engines, run, write


async def test_engine_serves_on_without_control_and_is_adopted(tmp_path: Path) -> None:
    async with origins("one", "two") as (one, two):
        config = tmp_path / "fairlead.json"
        write(config, configuration(tmp_path, one.address, two.address))
        async with run(config, tmp_path) as first:
            address = await first.address()
            version = (await first.status())["plan_version"]
            (engine,) = engines(tmp_path)
            traffic = await load.start(address, "--rate", "1000", "--seconds", "6", "--connections", "16")
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
            code, _ = await first.admin("/healthz")
            assert code == 200
            code, text = await first.admin("/api/v1/status")
            assert code == 503
            assert "control" in text
            async with run(config, tmp_path) as second:
                assert engines(tmp_path) == [engine]
                assert await second.address() == address
                assert (await second.status())["plan_version"] > version
                report = await traffic.report()
                assert report["failed"] == 0, report["failures"]
                assert await second.stop() == 0
            assert engines(tmp_path) == []


async def test_killed_engine_serves_again_within_a_second_on_the_same_address(tmp_path: Path) -> None:
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        write(config, configuration(tmp_path, one.address))
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            host, _, port = address.rpartition(":")
            (engine,) = engines(tmp_path)
            os.kill(engine, signal.SIGKILL)
            killed = time.monotonic()
            while not await _answers(host, int(port)):
                assert time.monotonic() - killed < 10
            took = time.monotonic() - killed
            assert took < 1.0, f"it took {took:.2f} s"
            assert engines(tmp_path) != [engine]
            await fairlead.said("engine")
            assert await fairlead.address() == address


async def _answers(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200")


async def test_second_instance_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        write(config, configuration(tmp_path, one.address))
        async with run(config, tmp_path) as first:
            try:
                async with run(config, tmp_path):
                    started = True
            except AssertionError as refused:
                started = False
                assert str(first.pid) in str(refused)  # noqa: PT017 - what it says is the behaviour
            assert not started


async def test_an_engine_is_adopted_only_with_the_settings_it_was_started_with(tmp_path: Path) -> None:
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        same = configuration(tmp_path, one.address)
        write(config, same)
        async with run(config, tmp_path) as first:
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
            write(config, {**same, "runtime": {**same["runtime"], "drain_timeout": "5s"}})
            refused = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fairlead", "run", str(config)), stderr=asyncio.subprocess.PIPE
            )
            _, said = await refused.communicate()
            assert refused.returncode == 1
            assert b"(runtime.drain_timeout), whose change needs a restart" in said
            write(config, same)
            async with run(config, tmp_path) as second:
                assert (await second.status())["engine"]["adopted"]
