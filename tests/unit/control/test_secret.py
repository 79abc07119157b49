"""What cookies are made with where the file names no secret."""

from pathlib import Path
from typing import Any

import pytest

from fairlead.control.secret import FILE, keyed
from fairlead.errors import FairleadError


def spec(*secrets: str | None) -> dict[str, Any]:
    by = [{"cookie": {"name": "S", "secret": secret}} for secret in secrets]
    pools = [{"affinity": {"by": each, "on_failure": "fail"}} for each in by]
    return {"pools": [*pools, {"affinity": None}, {"affinity": {"by": {"header": "X"}}}]}


def secrets(made: Any) -> list[str]:  # noqa: ANN401  (a spec)
    return [pool["affinity"]["by"]["cookie"]["secret"] for pool in made["pools"][:-2]]


def test_it_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first, second = secrets(keyed(spec(None, None), tmp_path))
    assert first == second
    assert len(first) == 64
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert secrets(keyed(spec(None), tmp_path)) == [first]
    assert list(tmp_path.iterdir()) == [tmp_path / FILE]


def test_it_is_not_made_where_none_is_needed(tmp_path: Path) -> None:
    given = spec("given by the operator")
    assert keyed(given, tmp_path) == given
    assert list(tmp_path.iterdir()) == []


def test_everything_else_stays_as_it_is(tmp_path: Path) -> None:
    given = spec("one", None)
    made = keyed(given, tmp_path)
    assert secrets(made)[0] == "one"
    assert made["pools"][1]["affinity"]["on_failure"] == "fail"
    assert made["pools"][2:] == given["pools"][2:]


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FairleadError, match="cannot keep a secret"):
        keyed(spec(None), tmp_path / "missing")
