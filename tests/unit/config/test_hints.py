"""What is misspelt, or written in a unit that is none, is told with what to write instead."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.config import read
from fairlead.errors import Step, dotted
from fairlead.model.shape import Spot, definitions, spot

FULL = yaml.safe_load(
    (Path(__file__).parents[2] / "golden" / "configuration" / "full.yaml")
    .read_text()
    .replace("ops.token", str(Path(__file__)))
    # Words, of which YAML 1.1 makes truth values.
    .replace("{on: ", "{'on': ")
    .replace(": off", ": 'off'")
)


def paths(value: object, path: tuple[Step, ...] = ()) -> list[tuple[Step, ...]]:
    below: list[tuple[Step, object]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [path, *(each for step, inner in below for each in paths(inner, (*path, step)))]


def misspelt(word: str) -> str:
    """With a letter twice, whatever may follow it."""
    return f"{word[:-2]}{word[-2] * 2}:x" if word.endswith(":") else word + word[-1]


def errors(directory: Path, data: object) -> list[str]:
    file = directory / "f.json"
    file.write_text(json.dumps(data))
    return [f"{dotted(problem.path)}: {problem.message}" for problem in read(str(file), {}).problems]


def messages(directory: Path, route: str = "priority: 0", pool: str = "drain: 60s") -> list[str]:
    """What is said of a file with these keys of its route and its pool."""
    file = directory / "f.yaml"
    file.write_text(
        f"listeners: {{web: {{bind: ':0', routes: [{{pool: app, {route}}}]}}}}\n"
        f"pools: {{app: {{backends: ['127.0.0.1:1'], {pool}}}}}\n"
    )
    return [problem.message for problem in read(str(file), {}).problems]


CASES = [
    pytest.param(path, word, id=f"{dotted(path)}-{word}")
    for path in paths(FULL)
    if path and (found := spot(path))
    for word in found.known
    # A wildcard, what is also any text, and a mapping's own key are no words to misspell.
    if word != "*" and path[-1] not in {"id", "via"}
]


@pytest.mark.parametrize(("path", "word"), CASES)
def test_a_misspelt_word_is_told_with_the_right_one(
    tmp_path: Path, path: tuple[Step, ...], word: str
) -> None:
    data: Any = copy.deepcopy(FULL)
    at = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = misspelt(word)
    right = word + "x" if word.endswith(":") else word
    (error,) = [each for each in errors(tmp_path, data) if each.startswith(f"{dotted(path)}: ")]
    assert error.endswith(f'(did you mean "{right}"?)')


def test_no_word_of_the_format_is_left_out() -> None:
    everywhere = {
        (word, definition.__name__, key)
        for definition in definitions()
        for key, field in definition.model_fields.items()
        for word in Spot(field.annotation, tuple(field.metadata)).known
    }
    asked = {word for _, word in (case.values for case in CASES)}
    assert {word for word, _, key in everywhere if key not in {"id", "via"}} <= asked


def test_every_key_of_the_format_is_asked_about() -> None:
    written = {
        (definition, str(path[-1]).removesuffix("_file"))
        for path in paths(FULL)
        if path and (found := spot(path[:-1]))
        for definition in found.definitions
    }
    keys = {(definition, key) for definition in definitions() for key in definition.model_fields}
    assert {(each.__name__, key) for each, key in keys - written} == {("Configuration", "include")}


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("hedge: {after: 95}", '"95" says no unit: write p95 for a percentile, or 95ms for a time'),
        ("hedge: {after: 95%}", '"95%" says no unit: write p95 for a percentile, or 95ms for a time'),
        ("hedge: {budget: -1}", "-1 is out of range: a share is from 0% to 100%"),
        ("hedge: {budget: 150}", "150 is out of range: a share is from 0% to 100%"),
        ("hedge: {budget: 5}", "a share is a percentage or a number below 1: write 5%"),
        ("timeouts: {response: -1}", "a duration is never negative"),
        (
            "timeouts: {request: nine}",
            '"nine" is no duration: write it as 500ms, 10s, 5m or 1h, or "none" (did you mean "none"?)',
        ),
        ("access_log: yes", "true or false is expected, not text: write true"),
        ("priority: '3'", "a whole number is expected, not text: write 3"),
        (
            "retry: {on: [conect_failure]}",
            (
                'unknown condition "conect_failure": write connect_failure, reset or a status from 400 to 599'
                ' (did you mean "connect_failure"?)'
            ),
        ),
    ],
)
def test_what_to_write_is_said(tmp_path: Path, keys: str, error: str) -> None:
    assert messages(tmp_path, route=keys) == [error]


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (
            "max_in_flight: adaptve",
            'a whole number or "adaptive" is expected, not text (did you mean "adaptive"?)',
        ),
        ("passive_health: of", 'a mapping or "off" is expected, not text (did you mean "off"?)'),
        ("health_check: {expect: {status: 2xx}}", '"2xx": write 200-299'),
        (
            "algorithm: {consistent_hash: {key: heder:X}}",
            (
                '"heder:X" is no key: write client, header:NAME, cookie:NAME, query:NAME or path'
                ' (did you mean "header:X"?)'
            ),
        ),
        (
            "algorithm: {consistent_hash: {key: header}}",
            (
                '"header" is no key: write client, header:NAME, cookie:NAME, query:NAME or path'
                ' (did you mean "header:NAME"?)'
            ),
        ),
    ],
)
def test_of_several_ways_to_write_a_value_the_nearest_is_said(tmp_path: Path, keys: str, error: str) -> None:
    assert messages(tmp_path, pool=keys) == [error]


@pytest.mark.parametrize("text", ["\\ud800", "${BYTES}"])
def test_what_is_no_text_is_refused_wherever_it_stands(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f.json"
    message = (
        "holds what is no character: half of a surrogate pair, or bytes of the environment that are no UTF-8"
    )
    for path in paths(FULL):
        data: Any = copy.deepcopy(FULL)
        at = data
        for step in path[:-1]:
            at = at[step]
        if not path or not isinstance(at[path[-1]], str):
            continue
        at[path[-1]] += text
        file.write_text(json.dumps(data).replace("\\\\ud800", "\\ud800"))
        found = read(str(file), {"BYTES": os.fsdecode(b"\xff")}).problems
        assert (path, message) in {(problem.path, problem.message) for problem in found}
