"""TOML and JSON: one shape with YAML, and places as good."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config import json_syntax, read, toml_syntax, yaml_syntax
from fairlead.config.content import Content
from fairlead.config.source import Refused, Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fairlead.config.node import Node

TOML = """\
# the same in TOML
[listeners.web]
bind = [":8080", "unix:/run/web.sock"]
http = { max_headers = 0, via = "edge" }
[[listeners.web.routes]]
pool = "app"
[[listeners.web.routes]]
match.path = { regx = '''
^/''' }
"pool" = "ap"
[pools.app]
backends = [ # two
  "127.0.0.1:1",
  { address = "127.0.0.1:2", weight = 70_000 },
]
drain = 5
"""

JSON = """\
{
  "listeners": {"web": {"bind": ":8080", "pool": "ap"}},
  "pools": {"app": {"backends": ["127.0.0.1:1", {"address": "127.0.0.1:2", "weight": 70000}], "drain": 5,
    "drain": "5s", "max_in_flight": null}}
}
"""


def errors(directory: Path, name: str, text: str) -> list[str]:
    (directory / name).write_text(text)
    return [str(each).replace(f"{directory}/", "") for each in read(str(directory / name), {}).problems]


def test_errors_in_toml_have_their_places(tmp_path: Path) -> None:
    assert errors(tmp_path, "f.toml", TOML) == [
        "f.toml:4:24: listeners.web.http.max_headers: 0 is out of range: 1 to 65535",
        "f.toml:8:1: listeners.web.routes[1].match.path.regex: is missing",
        'f.toml:8:16: listeners.web.routes[1].match.path.regx: unknown key "regx"',
        'f.toml:10:10: listeners.web.routes[1].pool: unknown pool "ap" (did you mean "app"?)',
        "f.toml:14:39: pools.app.backends[1].weight: 70000 is out of range: 0 to 65535",
        "f.toml:16:9: pools.app.drain: a duration needs a unit: write 5s",
    ]


def test_errors_in_json_have_their_places(tmp_path: Path) -> None:
    assert errors(tmp_path, "f.json", JSON) == [
        'f.json:2:50: listeners.web.pool: unknown pool "ap" (did you mean "app"?)',
        "f.json:3:86: pools.app.backends[1].weight: 70000 is out of range: 0 to 65535",
        'f.json:4:5: pools.app.drain: the key "drain" is written twice, first in line 3, column 95',
        "f.json:4:37: pools.app.max_in_flight: is empty: write a value, or remove the key",
    ]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("f.json", '{"a": 1,}', "f.json:1:9: a "),
        ("f.json", '{"a" 1}', 'f.json:1:6: ":" is expected'),
        ("f.json", '{"a": 1 "b": 2}', "f.json:1:9: "),
        ("f.json", '{"a": nul}', "f.json:1:7: a value is expected"),
        ("f.json", '{"a": "b\n"}', "f.json:1:9: is no JSON"),
        ("f.json", '{"a": 1', "f.json:1:8: "),
        ("f.json", "{} x", "f.json:1:4: something follows the value"),
        ("f.json", "[" * 100_000, "f.json:1:102: nested deeper than 100 levels"),
        ("f.json", "", "f.json:1:1: is empty"),
        ("f.toml", "a = ", "f.toml:1:5: is no TOML"),
        ("f.toml", "a = 1\na = 2\n", "f.toml:2:6: is no TOML: cannot overwrite a value"),
        ("f.toml", "a = 'b", "f.toml:1:7: is no TOML"),
        ("f.toml", "a = " + "[" * 100_000, "f.toml:1:1: nested too deeply"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_at_its_place(
    tmp_path: Path, name: str, text: str, place: str
) -> None:
    (error,) = errors(tmp_path, name, text)
    assert error.startswith(place)


def data(compose: Callable[[Source], Node | None], name: str, text: str) -> object:
    root = compose(Source(name, text))
    assert root is not None
    return Content(name, {}).read(root)


JSON_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(
        lambda text: "${" not in text
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3))
def test_json_is_read_as_the_standard_library_reads_it(value: dict[str, object]) -> None:
    assert data(json_syntax.compose, "f.json", json.dumps(value)) == value
    assert data(json_syntax.compose, "f.json", json.dumps(value, indent=2, ensure_ascii=False)) == value


@given(st.text(max_size=40))
def test_no_text_is_more_than_refused(text: str) -> None:
    for compose in (yaml_syntax.compose, json_syntax.compose, toml_syntax.compose):
        try:
            compose(Source("f", text))
        except Refused as refused:
            assert refused.problem.place is not None  # noqa: PT017  (most texts are refused, some are not)
