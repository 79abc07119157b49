"""Programs that check a backend, really run."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from fairlead.control.program import Outcome, run

ABOUT = {"FAIRLEAD_POOL": "app", "FAIRLEAD_BACKEND": "a"}


async def found(script: str, seconds: float = 20.0) -> tuple[bool, str]:
    outcome = await run(["/bin/sh", "-c", script], ABOUT, seconds=seconds, user=None)
    assert outcome is not None
    return outcome.good, outcome.reason


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo lag 3s", (True, "lag 3s")),
        ("echo lag 30s; echo more; exit 2", (False, "lag 30s")),
        ("exit 0", (True, "exit code 0")),
        ("exit 7", (False, "exit code 7")),
        ("kill -KILL $$", (False, "ended by SIGKILL")),
        ("echo 'a\tb' >&2", (True, "exit code 0")),
        ("printf '\\n  a\\033[31m\\377b\\n'", (True, "a [31m\N{REPLACEMENT CHARACTER}b")),
        ("echo $FAIRLEAD_POOL/$FAIRLEAD_BACKEND $HOME$USER", (True, "app/a")),
        ("pwd", (True, "/")),
    ],
)
async def test_its_end_is_the_result_and_its_first_line_the_reason(
    script: str, expected: tuple[bool, str]
) -> None:
    assert await found(script) == expected


async def test_however_much_it_writes_it_can_go_on() -> None:
    good, reason = await found("head -c 3000000 /dev/zero | tr '\\0' x")
    assert (good, reason) == (True, "x" * 200)


async def test_one_that_never_stops_writing_leaves_the_loop_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if it always wrote faster than we read; the start of a process reads less at a time.
    read = os.read
    monkeypatch.setattr("os.read", lambda fd, most: b"x" * most if most == 64 * 1024 else read(fd, most))
    assert await found("yes", seconds=0.5) == (False, "no result within 0.5s")


async def test_at_its_timeout_it_and_all_that_it_started_are_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! > {pids}; wait"
    good, reason = await found(script, seconds=0.5)
    assert (good, reason) == (False, "no result within 0.5s")
    pid = int(pids.read_text())
    while _runs(pid):
        pass


@pytest.mark.parametrize(
    "escape",
    [
        pytest.param("setsid sleep 600 & echo $! > {pids}; wait", id="a session of its own"),
        pytest.param("setsid sh -c 'sleep 600 & echo $! > {pids}; wait' & wait", id="below one of those"),
        pytest.param("setsid sh -c 'sleep 600 & echo $! > {pids}' & sleep 600", id="without a parent"),
    ],
)
async def test_at_its_timeout_nothing_that_it_started_gets_away(escape: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    good, reason = await found(escape.format(pids=pids), seconds=1.0)
    assert (good, reason) == (False, "no result within 1s")
    pid = int(pids.read_text())
    while _runs(pid):
        pass


async def test_other_runs_are_left_alone_at_a_timeout(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    other = asyncio.create_task(found(f"read line < {pipe}; echo $line"))
    assert await found("setsid sleep 600 & wait", seconds=0.5) == (False, "no result within 0.5s")
    with pipe.open("w") as writer:
        writer.write("well\n")
    assert await other == (True, "well")


async def test_what_it_leaves_running_is_not_waited_for() -> None:
    assert await found("sleep 600 & echo fine") == (True, "fine")


async def test_a_program_that_cannot_be_run_is_a_bad_result_that_says_why(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text("exit 0\n")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for each in (bare, tmp_path):
        each.chmod(0o755)
    for command, why in [
        (["/no/such"], "No such file or directory (it or its interpreter is missing)"),
        ([str(bare / "below")], "Not a directory"),
        ([str(tmp_path)], "Permission denied (it has to be a file that may be executed)"),
        ([str(bare)], "Exec format error (a script begins with a line such as #!/bin/sh)"),
        ([str(loop)], "Too many levels of symbolic links (a symbolic link leads back to itself)"),
        (["/bin/true", "x" * 200_000], "Argument list too long (give it less in `command`)"),
    ]:
        outcome = await run(command, ABOUT, seconds=20.0, user=None)
        assert isinstance(outcome, Outcome)
        assert (outcome.good, outcome.reason) == (False, f"cannot run {command[0]}: {why}")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM])
async def test_a_shortage_of_ours_is_no_result(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def short(*_: object, **__: object) -> None:
        raise OSError(number, "short")

    monkeypatch.setattr("asyncio.create_subprocess_exec", short)
    assert await run(["/bin/true"], ABOUT, seconds=20.0, user=None) is None


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
