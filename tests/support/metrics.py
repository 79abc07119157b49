"""The metrics page, read strictly: Prometheus' text format 0.0.4 and what its guidelines demand."""

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_VALUE = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|NaN|\+Inf)")

Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """A metric: what it is, and each of its series."""

    name: str
    kind: str
    help: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


def parse(page: str) -> dict[str, Family]:
    """Every family of a page; what the format does not allow fails."""
    assert page.endswith("\n")
    families: dict[str, Family] = {}
    lines = page.removesuffix("\n").split("\n")
    current: Family | None = None
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            name, _, text = line.removeprefix("# HELP ").partition(" ")
            assert _NAME.fullmatch(name), line
            assert text, line
            assert name not in families, f"{name} comes twice"
            kind = lines[number + 1].removeprefix(f"# TYPE {name} ")
            assert kind in {"counter", "gauge", "histogram"}, lines[number + 1]
            current = families[name] = Family(name, kind, text)
        elif not line.startswith("# TYPE "):
            assert current is not None, line
            series, value = _sample(line)
            _belongs(series[0], current)
            assert series not in current.samples, f"{line} comes twice"
            current.samples[series] = value
    for family in families.values():
        _consistent(family)
    return families


def value(families: dict[str, Family], name: str, /, **labels: str) -> float:
    """The sum of the series of `name` that have these labels."""
    family = families.get(name)
    if family is None:
        return 0.0
    wanted = set(labels.items())
    return sum(found for (_, has), found in family.samples.items() if wanted <= set(has))


def _sample(line: str) -> tuple[tuple[str, Labels], float]:
    name = _NAME.match(line)
    assert name, line
    at = name.end()
    labels: list[tuple[str, str]] = []
    if line[at] == "{":
        at += 1
        while line[at] != "}":
            label = _LABEL.match(line, at)
            assert label, line
            labels.append((label[1], label[2]))
            at = label.end()
            at += line[at] == ","
        at += 1
    assert line[at] == " ", line
    assert _VALUE.fullmatch(line[at + 1 :]), line
    assert len({label for label, _ in labels}) == len(labels), line
    return (name[0], tuple(labels)), float(line[at + 1 :])


def _belongs(sample: str, family: Family) -> None:
    suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    assert sample in {family.name + suffix for suffix in suffixes}, f"{sample} stands within {family.name}"


def _consistent(family: Family) -> None:
    if family.kind == "counter":
        assert family.name.endswith("_total"), family.name
    names = {tuple(label for label, _ in labels if label != "le") for _, labels in family.samples}
    assert len(names) <= 1, f"{family.name} has series of different labels: {names}"
    if family.kind == "histogram":
        _cumulative(family)


def _cumulative(family: Family) -> None:
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    for (sample, labels), found in family.samples.items():
        if sample.endswith("_bucket"):
            rest = tuple(label for label in labels if label[0] != "le")
            buckets.setdefault(rest, []).append((float(dict(labels)["le"]), found))
    for labels, counts in buckets.items():
        assert [bound for bound, _ in counts] == sorted(bound for bound, _ in counts), family.name
        assert [count for _, count in counts] == sorted(count for _, count in counts), family.name
        assert counts[-1] == (float("inf"), family.samples[f"{family.name}_count", labels]), family.name
        assert (f"{family.name}_sum", labels) in family.samples, family.name
