from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from fairlead.simulate.chart import Band, Frame, Line, heat, lines
from fairlead.simulate.svg import element, text

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> ET.Element:
    """The chart, which has to be XML."""
    return ET.fromstring(svg)  # noqa: S314 - our own text


def places(svg: str) -> list[float]:
    return [float(number) for number in re.findall(r"[ML]([0-9.]+) ", svg)]


@pytest.mark.parametrize("logarithmic", [True, False])
@pytest.mark.parametrize(
    "values",
    [[], [None], [0.0], [5.0], [1.0, None, 3.0], [0.001, 90_000.0], [0.0, 0.0], [250.0] * 600],
    ids=str,
)
def test_any_values_make_a_chart(values: list[float | None], logarithmic: bool) -> None:  # noqa: FBT001
    line = Line('p99 <of> "all" & more', values, 0)
    svg = lines("a <title>", [line], Frame(60), unit="ms", logarithmic=logarithmic)
    root = drawn(svg)
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == "a <title>"
    assert "nan" not in svg
    assert "inf" not in svg


def test_a_gap_is_a_gap_and_time_goes_to_the_right() -> None:
    svg = lines("t", [Line("l", [1.0, 2.0, None, 3.0], 3)], Frame(4), unit="ms")
    path = drawn(svg).find(f"{SVG}path")
    assert path is not None
    assert path.get("class") == "line c3"
    assert (path.get("d") or "").count("M") == 2
    assert places(svg) == sorted(places(svg))


def test_a_higher_value_is_higher() -> None:
    for logarithmic in (True, False):
        svg = lines("t", [Line("l", [10.0, 100.0], 0)], Frame(2), unit="ms", logarithmic=logarithmic)
        low, high = (float(each) for each in re.findall(r"[ML][0-9.]+ ([0-9.]+)", svg))
        assert high < low


def test_bands_stand_where_something_happens() -> None:
    root = drawn(lines("t", [Line("l", [1.0], 0)], Frame(10, (Band("slow (1)", 5, 10),)), unit="ms"))
    (band,) = [each for each in root.iter(f"{SVG}rect") if each.get("class") == "band"]
    assert float(band.get("x") or 0) > 480
    assert "slow (1)" in [each.text for each in root.iter(f"{SVG}text")]


def test_charts_on_one_scale_can_be_compared() -> None:
    heights = []
    for other in (20.0, 5_000.0):
        svg = lines(
            "t", [Line("l", [100.0, other], 0)], Frame(2, times=(10, 9_000)), unit="ms", logarithmic=True
        )
        heights.append(re.findall(r"M[0-9.]+ ([0-9.]+)", svg))
    assert heights[0] == heights[1]


def test_loads_are_rows_of_shades() -> None:
    root = drawn(heat("t", [("a", [0, 8, 8, 4]), ("a-very-long-name", [0, 0, 0, 0])], Frame(4)))
    cells = [each.get("class") for each in root.iter(f"{SVG}rect")]
    assert cells == ["heat h8", "heat h4"], "equal neighbours are one, nothing is nothing"
    assert "…ng-name" in [each.text for each in root.iter(f"{SVG}text")]


def test_what_is_written_is_escaped() -> None:
    assert element("a", text("<b>&"), title='"x"', class_="k", stroke_width=1.25) == (
        '<a title=\'"x"\' class="k" stroke-width="1.2">&lt;b&gt;&amp;</a>'
    )
