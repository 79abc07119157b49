from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.errors import ConfigurationError, UsageError
from fairlead.simulate import Bounds, prepare, read, shipped
from fairlead.simulate.reading import _SHIPPED
from fairlead.units import Duration

OWN = """
title: Mine
about: Something happens.
arrivals: {rate: 100/s, steps: [{at: 10s, rate: 300/s, over: 10s}, {at: 30s, rate: 50%}]}
work: {constant: 10ms}
events:
  - {at: 5s, lasts: 10s, backends: BACKENDS, what: WHAT}
configuration:
  listeners: {web: {bind: ":80", pool: app}}
  pools:
    app:
      backends:
        - {address: "10.0.0.1:80", name: a, weight: 3, zone: x}
        - {address: "app.internal:80", name: b, zone: x}
        - {address: "10.0.0.3:80", zone: y}
        - {address: "10.0.0.4:80", name: d, backup: true, zone: y}
"""


def scenario(tmp_path: Path, backends: str = "1", what: str = "hang") -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN.replace("BACKENDS", backends).replace("WHAT", what))
    return path


def prepared(path: Path, bounds: Bounds | None = None):  # noqa: ANN201 - the module's own type
    found = read(str(path))
    assert found.scenario.configuration is not None
    return prepare(found.scenario.configuration, "app", found, bounds)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_is_whole(name: str) -> None:
    found = read(name)
    assert found.scenario.configuration is not None
    ready = prepare(found.scenario.configuration, "app", found)
    assert len(ready.scenario["servers"]) == len(ready.ids) >= 9
    assert found.scenario.lesson


def test_what_ships_is_what_is_listed() -> None:
    assert sorted(shipped()) == sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


@pytest.mark.parametrize(
    ("backends", "places"),
    [
        ("all", [0, 1, 2, 3]),
        ("2", [0, 1]),
        ("9", [0, 1, 2, 3]),
        ("50%", [0, 1]),
        ("1%", [0]),
        ("[d, b]", [3, 1]),
        ("{zone: y}", [2, 3]),
        ("{zone: nowhere}", [3]),
    ],
)
def test_backends_are_meant_in_many_ways(tmp_path: Path, backends: str, places: list[int]) -> None:
    (effect,) = prepared(scenario(tmp_path, backends)).scenario["effects"]
    assert effect == {"from_ms": 5000, "until_ms": 15000, "servers": places, "what": "hang"}


@pytest.mark.parametrize(
    ("what", "made"),
    [
        ("{slow: 5}", {"slow": {"factor": 5.0}}),
        ("{cold: 2.5}", {"cold": {"factor": 2.5}}),
        ("{errors: 15%}", {"errors": {"share": 0.15, "status": 500, "ms": None}}),
        (
            "{errors: {share: 1%, status: 503, time: 2ms}}",
            {"errors": {"share": 0.01, "status": 503, "ms": 2}},
        ),
        ("{pauses: {every: 8s, lasting: 300ms}}", {"pauses": {"every_ms": 8000, "lasting_ms": 300}}),
        ("{checks_fail: 50%}", {"checks_fail": {"share": 0.5}}),
        ("restart", "refuse"),
        ("unreachable", "unreachable"),
        ("leave", "leave"),
    ],
)
def test_what_happens_becomes_numbers(tmp_path: Path, what: str, made: object) -> None:
    (effect,) = prepared(scenario(tmp_path, what=what)).scenario["effects"]
    assert effect["what"] == made


def test_rates_step_and_ramp_and_weights_are_slots(tmp_path: Path) -> None:
    ready = prepared(scenario(tmp_path))
    # Weights 3, 1, 1 and 1: a mean of 1.5, 8 slots. The backup is no part of what can be served.
    slots = [server["slots"] for server in ready.scenario["servers"]]
    assert slots == [16, 5, 5, 5]
    points = [(point["at_ms"], point["per_second"]) for point in ready.scenario["arrivals"]["rate"]]
    half = 0.5 * (16 + 5 + 5) / 0.010
    assert points == [(0, 100), (10_000, 100), (20_000, 300), (30_000, 300), (30_000, pytest.approx(half))]
    assert ready.ids == ("a", "b", "10.0.0.3:80", "d")


def test_who_joins_is_not_there_before(tmp_path: Path) -> None:
    servers = prepared(scenario(tmp_path, "[b]", "join")).scenario["servers"]
    assert [server["present"] for server in servers] == [True, False, True, True]


def test_bounds_decide_how_much_is_simulated(tmp_path: Path) -> None:
    path = scenario(tmp_path)
    by_time = prepared(path, Bounds(duration=Duration(5000))).scenario
    assert (by_time["duration_ms"], by_time["bucket_ms"]) == (5000, 1000)
    by_number = prepared(path, Bounds(requests=1_000_000)).scenario
    assert by_number["requests"] == 1_000_000
    assert by_number["duration_ms"] / by_number["bucket_ms"] <= 600


def test_errors_say_where_and_what(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "title: x\nabout: y\narrivals: {rate: 60}\nwork: {constant: 10}\nmore: 1\n"
        "events:\n  - {at: 1s, backends: 0, what: {slow: x}}\n  - {what: explode}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        read(str(path))
    said = [str(problem).replace(f"{tmp_path}/", "") for problem in refused.value.problems]
    assert said[0].startswith("bad.yaml:3:18: arrivals.rate: how many requests come is a rate, such as 500/s")
    assert "bad.yaml:4:18: work.constant: a duration needs a unit: write 10s" in said
    assert 'bad.yaml:5:1: more: unknown key "more"' in said
    assert any(
        line.startswith("bad.yaml:7:24: events[0].backends: which backends are meant") for line in said
    )
    assert any(line.startswith("bad.yaml:7:40: events[0].what.slow: a number of times") for line in said)
    assert any(
        line.startswith('bad.yaml:8:12: events[1].what: unknown what "explode" (hang, ') for line in said
    )


def test_names_that_are_nearly_right_are_guessed() -> None:
    with pytest.raises(UsageError, match=r'no scenario "slow-nod".*slow-node'):
        read("slow-nod")


def test_work_comes_from_a_file(tmp_path: Path) -> None:
    path = scenario(tmp_path)
    path.write_text(path.read_text().replace("{constant: 10ms}", "{file: times.txt}"))
    (tmp_path / "times.txt").write_text("5\n5\n20\n")
    assert prepared(path).scenario["work"] == {"samples": {"ms": [5.0, 5.0, 20.0]}}
    (tmp_path / "times.txt").write_text("5\nfast\n")
    with pytest.raises(ConfigurationError, match=r"mine\.yaml:5.*fast"):
        read(str(path))


def test_a_backend_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no backend z"):
        prepared(scenario(tmp_path, "[a, z]"))
