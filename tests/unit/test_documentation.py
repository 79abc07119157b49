"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from fairlead.cli import VERBS, group

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def page(name: str) -> str:
    return (DOCS / name).read_text()


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_flow_names_files_that_exist() -> None:
    named = re.findall(r"`((?:crates|python)/[^`]+)`", page("flow.md"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_metric_is_listed() -> None:
    telemetry = ROOT / "crates/engine/src/telemetry"
    code = "".join(path.read_text() for path in (telemetry / "metrics.rs", *telemetry.glob("metrics/*.rs")))
    made = set(re.findall(r'"(fairlead_[a-z_]+)"', code))
    assert set(re.findall(r"^\| `(fairlead_[a-z_]+)`", page("observing.md"), re.MULTILINE)) == made


def test_every_kind_of_event_is_listed() -> None:
    engine = (ROOT / "crates/engine/src/telemetry/events.rs").read_text()
    variants = engine.partition("pub enum What {")[2].partition("\n}\n")[0]
    made = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for name in re.findall(r"^    ([A-Z]\w+) \{", variants, re.MULTILINE)
    }
    for module in ("daemon.py", "control/act.py", "control/renewal.py"):
        code = (ROOT / "python/fairlead" / module).read_text()
        made |= set(re.findall(r'_events\.append\(\s*"([a-z_]+)"', code))
    table = page("observing.md").partition("| kind | details |")[2].partition("\n\n")[0]
    cells = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`([a-z_]+)`", cells)) == made | {"gap"}


def test_every_field_of_the_access_log_is_listed() -> None:
    code = (ROOT / "crates/plan/src/access_log.rs").read_text()
    made = set(re.findall(r'^    [A-Z][A-Za-z]+ = "([a-z_]+)",$', code, re.MULTILINE))
    table = page("observing.md").partition("| field |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([a-z_]+)`", " ".join(cells))) == made


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_command_is_listed(verb: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    section = page("reference/cli.md").partition(f"\n## {verb}\n")[2].partition("\n## ")[0]
    for parameter in command.params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert f"`{option}" in section


def test_every_answer_of_fairleads_own_is_listed() -> None:
    code = (ROOT / "crates/engine/src/http/failure.rs").read_text()
    names = r'"([a-z]+(?:_[a-z]+)+)"'
    listed = page("http.md")
    # Of a backend that can't be reached the client hears connection_refused.
    unused = {"destination_ip_unroutable"}
    assert {name for name in re.findall(names, code) if f"`{name}`" not in listed} <= unused
