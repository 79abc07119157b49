"""Several files as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead.config import read

if TYPE_CHECKING:
    from pathlib import Path

MAIN = "include: [conf.d/*.yaml]\nlisteners: {web: {bind: ':0', pool: app}}\n"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "f.yaml").write_text(MAIN)
    return tmp_path


def errors(directory: Path) -> list[str]:
    return [str(each).replace(f"{directory}/", "") for each in read(str(directory / "f.yaml"), {}).problems]


def test_files_add_to_maps_of_names_and_errors_are_shown_where_they_stand(main: Path) -> None:
    (main / "conf.d" / "a.yaml").write_text("pools:\n  app: {backends: ['127.0.0.1:1']}\n")
    (main / "conf.d" / "b.yaml").write_text(
        "pools:\n  other: {backends: ['127.0.0.1:1'], max_in_flight: 0}\n"
    )
    reading = read(str(main / "f.yaml"), {})
    assert [name.replace(f"{main}/", "") for name in reading.files] == [
        "f.yaml",
        "conf.d/a.yaml",
        "conf.d/b.yaml",
    ]
    assert errors(main) == ["conf.d/b.yaml:2:53: pools.other.max_in_flight: 0 is out of range: 1 or more"]


def test_the_same_name_twice_names_both_places(main: Path) -> None:
    (main / "conf.d" / "a.yaml").write_text(
        "pools:\n  app: {backends: ['127.0.0.1:1']}\nruntime: {workers: 1}\n"
    )
    (main / "conf.d" / "b.yaml").write_text(
        "pools:\n  app: {backends: ['127.0.0.1:1']}\nruntime: {workers: 1}\n"
    )
    assert errors(main) == [
        f'conf.d/b.yaml:2:3: pools.app: "app" is written twice, first at {main}/conf.d/a.yaml:2:3'.replace(
            f"{main}/", ""
        ),
        'conf.d/b.yaml:3:1: runtime: "runtime" is written twice, first at conf.d/a.yaml:3:1',
    ]


def test_a_pattern_without_files_is_fine_and_a_file_that_is_missing_is_not(main: Path) -> None:
    (main / "f.yaml").write_text(
        "include: [conf.d/*.yaml, lost.yaml]\n"
        "listeners: {web: {bind: ':0', pool: app}}\npools: {app: {backends: ['127.0.0.1:1']}}\n"
    )
    assert errors(main) == ["f.yaml:1:26: include: there is no file lost.yaml"]


def test_a_file_that_includes_itself_is_refused(main: Path) -> None:
    (main / "conf.d" / "a.yaml").write_text("include: ../f.yaml\npools: {app: {backends: ['127.0.0.1:1']}}\n")
    (error,) = errors(main)
    assert error.startswith("conf.d/a.yaml:1:10: include: conf.d/../f.yaml includes itself: ")


def test_patterns_are_relative_to_the_file_that_has_them_and_formats_mix(main: Path) -> None:
    (main / "conf.d" / "a.yaml").write_text("include: more/*.toml\n")
    (main / "conf.d" / "more").mkdir()
    (main / "conf.d" / "more" / "x.toml").write_text('[pools.app]\nbackends = ["127.0.0.1:1"]\n')
    assert errors(main) == []
