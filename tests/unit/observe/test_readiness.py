"""Who started us hears that we are ready."""

import os
import socket
from pathlib import Path

import pytest

from fairlead.errors import UsageError
from fairlead.observe.readiness import Readiness


def test_the_line_is_written_once_and_the_descriptor_closed() -> None:
    reader, writer = os.pipe()
    readiness = Readiness(writer)
    readiness.ready()
    readiness.ready()
    with os.fdopen(reader, "rb") as read:
        assert read.read() == b"ready\n"


def test_a_reader_that_is_gone_does_no_harm() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Readiness(writer).ready()


def test_a_descriptor_that_is_not_open_is_a_wrong_argument() -> None:
    with pytest.raises(UsageError, match="--ready-fd 999"):
        Readiness(999)


def test_systemd_is_told_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        readiness = Readiness()
        assert "NOTIFY_SOCKET" not in os.environ
        readiness.ready()
        readiness.reloading()
        readiness.reloaded()
        readiness.stopping()
        said = [systemd.recv(500).decode().splitlines()[0] for _ in range(4)]
    assert said == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


def test_a_reload_before_it_is_ready_makes_it_no_readier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)  # noqa: FBT003 - the call has it so
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        readiness = Readiness()
        readiness.reloading()
        readiness.reloaded()
        with pytest.raises(BlockingIOError):
            systemd.recv(500)


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"fairlead-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Readiness().ready()
        assert systemd.recv(500).startswith(b"READY=1\n")
