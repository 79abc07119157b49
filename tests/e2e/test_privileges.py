"""`runtime.user`: an engine that root has started serves as somebody who may do less."""

import os
import pwd
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.backend import OK, Backend, answering
from support.peer import Peer
from support.process import Running, configuration, engines, run, write

USER = "nobody"
NET_BIND_SERVICE = 1 << 10
"""capabilities(7): its number is 10."""

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that others can enter, as a directory of an instance is."""
    with tempfile.TemporaryDirectory(prefix="fairlead-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def _status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: values.split() for key, _, values in (line.partition(":") for line in lines)}


async def _served(fairlead: Running) -> int:
    client = await Peer.connect(await fairlead.address())
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    status = (await client.answer()).status
    await client.closed()
    return status


def _is_user(pid: int) -> bool:
    user = pwd.getpwnam(USER)
    status = _status(pid)
    capabilities = {int(status[each][0], 16) for each in ("CapPrm", "CapEff")}
    return (
        status["Uid"] == [str(user.pw_uid)] * 4
        and status["Gid"] == [str(user.pw_gid)] * 4
        and capabilities == {NET_BIND_SERVICE}
    )


@needs_root
async def test_engine_is_its_user_and_control_stays_root_whoever_dies(directory: Path) -> None:
    check = {"type": "exec", "command": ["/usr/bin/id", "-un"], "timeout": "20s"}
    async with Backend(answering(OK)) as backend:
        wanted = configuration(directory, backend.address, health_check=check)
        wanted["runtime"]["user"] = USER
        write(directory / "fairlead.json", wanted)
        async with run(directory / "fairlead.json", directory) as fairlead:
            (engine,) = engines(directory)
            assert _is_user(engine)
            assert _status(fairlead.pid)["Uid"][0] == "0"
            # By the engine, which has to be let into the control process's socket for it.
            (found,) = (await fairlead.stats())["pools"][0]["backends"]
            assert (found["state"], found["checks"]["last"]["reason"]) == ("up", USER)
            assert await _served(fairlead) == 200
            address = await fairlead.address()
            os.kill(engine, signal.SIGKILL)
            await fairlead.said("engine serves again", seconds=60.0)
            (another,) = engines(directory)
            assert another != engine
            assert _is_user(another)
            assert (await fairlead.address(), await _served(fairlead)) == (address, 200)


async def test_a_user_that_is_not_there_is_refused(tmp_path: Path) -> None:
    wanted = configuration(tmp_path, "127.0.0.1:1")
    wanted["runtime"]["user"] = "no-such-user-here"
    write(tmp_path / "fairlead.json", wanted)
    with pytest.raises(AssertionError, match=r"ended with 2 (.|\n)*there is no user 'no-such-user-here'"):
        async with run(tmp_path / "fairlead.json", tmp_path):
            pass
