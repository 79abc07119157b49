"""Wherever a value is written, in each syntax, its place leads to its text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.config.document import Documents, gather

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fairlead.errors import Step

KEYS = st.text("abc é", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers(1, 10**6),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
FILES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)

same_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def leaves(value: object, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], int]]:
    if isinstance(value, int):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))


def check(directory: Path, name: str, text: str, data: dict[str, object]) -> None:
    file = directory / name
    file.write_text(text)
    documents: Documents = gather(str(file), {})
    assert (documents.problems, documents.data) == ([], data)
    lines = text.split("\n")
    for path, value in leaves(data):
        place = documents.place(path)
        assert place is not None
        assert lines[place.line - 1][place.column - 1 :].startswith(str(value))


def inline(value: object) -> str:
    """TOML of a value, in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(each)}" for key, each in value.items()) + "}"
    return f"[{', '.join(map(inline, value))}]" if isinstance(value, list) else str(value)


@same_directory
@given(data=FILES, indent=st.none() | st.integers(0, 3))
def test_json_and_the_same_as_yaml(tmp_path: Path, data: dict[str, object], indent: int | None) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    check(tmp_path, "f.json", text, data)
    check(tmp_path, "f.yaml", text, data)


@same_directory
@given(data=FILES)
def test_toml_inline_in_tables_and_in_arrays_of_tables(tmp_path: Path, data: dict[str, object]) -> None:
    pairs = [f"{json.dumps(key, ensure_ascii=False)} = {inline(value)} # = 1" for key, value in data.items()]
    lines = [*pairs, "[x.'y']", *pairs, "[[z]]", *pairs, "[z.sub]", *pairs, "[[z]]", *pairs]
    whole = {**data, "x": {"y": data}, "z": [{**data, "sub": data}, data]}
    check(tmp_path, "f.toml", "\n".join(lines), whole)
