"""Where an instance keeps its sockets."""

from pathlib import Path

import pytest

from fairlead.control import directory
from fairlead.errors import FairleadError


def test_the_directory_is_made(tmp_path: Path) -> None:
    assert directory.prepare(tmp_path / "a" / "b").is_dir()


def test_one_that_is_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FairleadError, match="too long"):
        directory.prepare(tmp_path / ("x" * 100))


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FairleadError, match="cannot make the directory"):
        directory.prepare(tmp_path / "file" / "below")


def test_the_users_runtime_directory_comes_after_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert directory.defaults() == (directory.SYSTEM, tmp_path / "fairlead")
    monkeypatch.setattr(directory, "SYSTEM", tmp_path / "missing" / "fairlead")
    assert directory.default() == tmp_path / "fairlead"
