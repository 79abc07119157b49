from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from fairlead.cli import VERBS, check, group

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    "access_log: {}\nlisteners: {web: {bind: ':0', pool: app}}\npools: {app: {backends: ['127.0.0.1:1'%s]}}\n"
)
SOUND = SMALL % ", '127.0.0.1:2'"
ADVISED = SMALL % ""


@pytest.fixture(autouse=True)
def _accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "engine_check", lambda _spec: [])


def run(tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    (tmp_path / "f.yaml").write_text(text)
    result = CliRunner().invoke(group, ["check", str(tmp_path / "f.yaml"), *options])
    return result.exit_code, result.output.replace(f"{tmp_path}/", "")


def test_the_help_lists_every_verb_without_importing_one() -> None:
    result = CliRunner().invoke(group, ["--help"])
    assert all(verb in result.output and row.summary[:30] in result.output for verb, row in VERBS.items())


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(group, [verb, "--help"])
    assert result.exit_code == 0
    assert f"fairlead {verb}" in result.output.split("Example", 1)[1]


def test_a_sound_file_is_fine(tmp_path: Path) -> None:
    assert run(tmp_path, SOUND) == (0, "f.yaml: fine\n")


def test_advice_is_fine_unless_it_is_strict(tmp_path: Path) -> None:
    code, output = run(tmp_path, ADVISED)
    assert code == 0
    assert output.startswith("advice: f.yaml:3:15: pools.app.backends: one backend")
    assert run(tmp_path, ADVISED, "--strict")[0] == 1


def test_errors_refuse(tmp_path: Path) -> None:
    code, output = run(tmp_path, SOUND + "x: 1\ny: 1\n")
    assert code == 2
    assert output.splitlines() == [
        'f.yaml:4:1: x: unknown key "x"',
        'f.yaml:5:1: y: unknown key "y"',
        "f.yaml: refused, 2 errors",
    ]


def test_json_has_the_same_for_programs(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(SOUND + "x: 1\n")
    result = CliRunner().invoke(group, ["check", "--json", str(tmp_path / "f.yaml")])
    assert json.loads(result.stdout) == {
        "errors": [
            {
                "path": "x",
                "message": 'unknown key "x"',
                "file": str(tmp_path / "f.yaml"),
                "line": 4,
                "column": 1,
            }
        ],
        "advice": [],
    }
