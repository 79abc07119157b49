from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from fairlead.cli import group
from fairlead.errors import UsageError
from fairlead.simulate import shipped

GOLDEN = Path(__file__).parents[2] / "golden" / "simulate"
FILE = """
listeners:
  web: {bind: ":0", pool: app}
pools:
  app:
    algorithm: least_connections
    backends: ["10.0.0.1:80", {address: "10.0.0.2:80", weight: 2}, "name.internal:80"]
  other: {backends: ["10.0.0.9:80"]}
"""


def run(*arguments: str) -> str:
    result = CliRunner().invoke(group, ["simulate", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "fairlead.yaml"
    path.write_text(FILE)
    return str(path)


def test_scenarios_are_listed() -> None:
    lines = run("--list").splitlines()
    assert [line.split()[0] for line in lines] == list(shipped())
    assert lines[0] == "slow-node        One slow node"


def test_the_table_is_as_it_was() -> None:
    printed = run(
        "--scenario", "gray-failure", "--duration", "20s", "--compare", "round_robin,least_time,random"
    )
    assert printed == (GOLDEN / "gray-failure.txt").read_text()


def test_a_file_s_pool_is_simulated_and_nothing_of_it_is_contacted(file: str) -> None:
    said = json.loads(run(file, "--scenario", "slow-node", "--pool", "app", "--requests", "3000", "--json"))
    assert (said["scenario"], said["pool"], said["seed"]) == ("slow-node", "app", 1)
    assert list(said["algorithms"]) == ["least_connections", "round_robin", "least_time", "random"]
    configured = said["algorithms"]["least_connections"]
    assert configured["configured"]
    assert configured["requests"] == configured["answered"] + configured["failed"] == 3000
    assert [each["id"] for each in configured["backends"]] == [
        "10.0.0.1:80",
        "10.0.0.2:80",
        "name.internal:80",
    ]
    turns = [each["requests"] for each in said["algorithms"]["round_robin"]["backends"]]
    assert turns == [750, 1500, 750]


def test_the_same_seed_prints_the_same() -> None:
    arguments = ("--scenario", "gc-pauses", "--duration", "5s", "--json")
    assert run(*arguments) == run(*arguments)
    assert run(*arguments) != run(*arguments, "--seed", "2")


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    printed = run("--scenario", "zone-loss", "--duration", "30s", "--compare", "all", "--html", str(page))
    assert printed.endswith(f"charts: {page}\n")
    html = page.read_text()
    root = ET.fromstring(html.removeprefix("<!DOCTYPE html>\n"))  # noqa: S314 - our own text
    loading = [each.tag for each in root.iter() if {"src", "href"} & set(each.attrib)]
    assert loading == []
    assert "url(" not in html
    assert "<script" not in html
    sections = [each.findtext("h2") for each in root.iter("section")]
    assert len(sections) == 7
    assert all(len(list(each.iter("{http://www.w3.org/2000/svg}svg"))) == 2 for each in root.iter("section"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say which --scenario"),
        (("--scenario", "slow-nodes"), "slow-node"),
        (("{file}", "--scenario", "slow-node"), "several pools: say which with --pool"),
        (("{file}", "--scenario", "slow-node", "--pool", "x"), 'no pool "x"'),
        (("--scenario", "slow-node", "--compare", "fastest"), "no algorithm fastest"),
    ],
)
def test_what_cannot_be_is_said(file: str, arguments: tuple[str, ...], said: str) -> None:
    written = [file if each == "{file}" else each for each in arguments]
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(group, ["simulate", *written], catch_exceptions=False)


@pytest.mark.parametrize("existing", [True, False])
def test_a_page_that_cannot_be_written_is_said_before_the_work(tmp_path: Path, *, existing: bool) -> None:
    place = tmp_path / ("file/page.html" if existing else "lost/page.html")
    why = "Not a directory" if existing else "No such file or directory"
    (tmp_path / "file").touch()
    # So much of it would take hours.
    asked = ("--scenario", "slow-node", "--duration", "24h", "--compare", "all", "--html", str(place))
    with pytest.raises(UsageError, match=rf"^--html: cannot write {place}: {why}$"):
        CliRunner().invoke(group, ["simulate", *asked], catch_exceptions=False)


def test_a_page_is_left_as_it_was_where_nothing_can_be_simulated(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")
    with pytest.raises(UsageError, match="no algorithm"):
        run("--scenario", "slow-node", "--compare", "fastest", "--html", str(page))
    assert page.read_text() == "before"
