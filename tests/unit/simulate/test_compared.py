"""The page of the docs says what a run says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairlead.simulate.compared import compare, document, factor

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "algorithms-compared.md"


@pytest.mark.timeout(600)
def test_every_figure_of_the_page_is_of_a_run() -> None:
    assert document() == PAGE.read_text(), "decisions have changed: make docs writes the page again"


def test_least_time_avoids_a_slow_node_by_the_factor_that_is_told() -> None:
    said = re.search(r"Round robin's p99 is ([0-9]+) times that of `least_time`", PAGE.read_text())
    assert said is not None
    _, outcomes = compare("slow-node")
    assert round(factor(outcomes)) == int(said[1]) >= 5
