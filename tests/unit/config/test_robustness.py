"""Whatever stands where, it is refused in words: never a traceback, and never without a place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.compile import problems
from fairlead.config import read

FULL = yaml.safe_load(
    (Path(__file__).parents[2] / "golden" / "configuration" / "full.yaml")
    .read_text()
    .replace("token_file: ops.token", "token: 0123456789abcdefg")
)

TEXTS = ["", "10s", "x", ":", "app", "${A}", "${A:-5}", "unix:", "[", "*", "é", "off", "0x", "1e5"]
KEYS = ["pool", "regex", "address", "backends", "bind", "", "[key]", "<pool>", "tls"]
NUMBERS = st.integers(-5, 10**25) | st.floats(allow_nan=False, allow_infinity=False)
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [each for key, below in value.items() for each in paths(below, (*path, key))]
    if isinstance(value, list):
        return found + [each for index, below in enumerate(value) for each in paths(below, (*path, index))]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(paths(FULL)), JUNK, st.booleans()), min_size=1, max_size=3))
def test_junk_anywhere_is_refused_in_words(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], object, bool]]
) -> None:
    data = copy.deepcopy(FULL)
    for path, junk, as_key in changes:
        target: Any = data
        try:
            for step in path[:-1]:
                target = target[step]
            if as_key and isinstance(target, dict):
                target["extra"] = junk
            else:
                target[path[-1]] = junk
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    file = tmp_path / "f.json"
    file.write_text(json.dumps(data))
    reading = read(str(file), {})
    _, found = problems(
        reading, check=lambda _spec: [{"path": ["listeners", "web", "routes", "0"], "message": "x"}]
    )
    for problem in found:
        assert problem.place is not None
        assert problem.message
        assert "Input should" not in problem.message
