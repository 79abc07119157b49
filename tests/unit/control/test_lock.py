"""One control process for each directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.control.errors import AlreadyRunning
from fairlead.control.lock import DirectoryLock, holder

HOLD = """
import sys
from fairlead.control.lock import DirectoryLock
with DirectoryLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path), pytest.raises(AlreadyRunning) as refused, DirectoryLock(tmp_path):
        pass
    assert refused.value.pid == os.getpid()
    assert str(os.getpid()) in str(refused.value)
    assert refused.value.exit_code == 1


def test_it_is_free_again_afterwards(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None
    with DirectoryLock(tmp_path):
        pass


def test_a_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdin is not None
    with other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning) as refused, DirectoryLock(tmp_path):
            pass
        assert refused.value.pid == other.pid
        other.kill()
    with DirectoryLock(tmp_path):
        assert holder(tmp_path) == os.getpid()
