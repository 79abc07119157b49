"""The descriptions that are kept as golden data are ones that the engine accepts."""

from pathlib import Path

import pytest

from fairlead import _engine

GOLDEN = Path(__file__).parents[1] / "golden" / "configuration"


@pytest.mark.parametrize("name", ["smallest", "full"])
def test_a_kept_description_is_accepted(name: str) -> None:
    assert _engine.check((GOLDEN / f"{name}.spec.json").read_text()) == []
