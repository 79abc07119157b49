"""``fairlead simulate``: what would happen to a pool, algorithm beside algorithm."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from fairlead.compile import load
from fairlead.errors import FairleadError, UnitError, UsageError
from fairlead.simulate import ALGORITHMS, Bounds, page, pool_of, prepare, read, run, shipped
from fairlead.simulate.figures import COLUMNS, best, told, verdicts
from fairlead.units import Duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from fairlead.model import Configuration
    from fairlead.simulate import Outcome, Prepared, Read

__all__ = ["command"]

EPILOG = """\b
Examples:
  fairlead simulate --list
  fairlead simulate --scenario slow-node
  fairlead simulate fairlead.yaml --scenario slow-node --pool app --compare all --html slow-node.html"""

_USUAL = ("round_robin", "least_connections", "least_time", "random")
_ALL = tuple(name for name in ALGORITHMS if name != "first")
_KEY = (
    "* the best of its column; hottest: the busiest backend, times the mean; (own): as the pool is configured"
)
_SHOWN_EVENTS = 6
_WIDTH = 120
"""Of a table that goes to no terminal."""


class Length(click.ParamType[Duration]):
    """A duration, as in the configuration."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Duration:
        """Read it, or fail as click has it."""
        try:
            return Duration.read(value)
        except UnitError as error:
            self.fail(str(error), param, ctx)


@click.command("simulate", epilog=EPILOG)
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@click.option("--scenario", metavar="NAME|PATH", help="A shipped one by its name, or a file of your own.")
@click.option("--list", "listing", is_flag=True, help="Show the scenarios that ship, and end.")
@click.option("--pool", help="Of FILE, if it has several.")
@click.option(
    "--compare",
    metavar="NAME,…",
    help=f"Algorithms: {', '.join(ALGORITHMS)}; all: all of them but first. Without it the pool's own and "
    f"{', '.join(_USUAL)}.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 10**9),
    default=1,
    show_default=True,
    metavar="N",
    help="Of what is random.",
)
@click.option(
    "--requests", type=click.IntRange(1, 10_000_000), metavar="N", help="How many, instead of for how long."
)
@click.option(
    "--duration", type=Length(), metavar="DURATION", help="For how long, instead of the scenario's."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--html", type=click.Path(dir_okay=False), metavar="PAGE", help="Write a page with charts there."
)
@click.pass_context
def command(context: click.Context, /, **given: object) -> None:
    """Run a scenario against a pool of FILE, by the deciders of the engine and in made-up time.

    Requests, backends and what befalls them are made up: no address of FILE is contacted. Its backends,
    weights, zones, limits, health, retry and queue settings count. Without FILE the scenario's own pool is
    taken. The same seed gives the same figures, and all algorithms meet the same requests.
    """
    options = _Options(**given)
    if options.listing:
        for name in shipped():
            click.echo(f"{name:<16} {read(name).scenario.title}")
        return
    if options.scenario is None:
        message = f"say which --scenario: {', '.join(shipped())}, or a file"
        raise UsageError(message)
    _simulate(options, _typed(context))


class _Options:
    """What was asked for."""

    def __init__(self, **given: object) -> None:
        self.file: str | None = given["file"]  # type: ignore[assignment]
        self.scenario: str | None = given["scenario"]  # type: ignore[assignment]
        self.listing = bool(given["listing"])
        self.pool: str | None = given["pool"]  # type: ignore[assignment]
        self.compare: str | None = given["compare"]  # type: ignore[assignment]
        self.seed: int = given["seed"]  # type: ignore[assignment]
        self.bounds = Bounds(given["duration"], given["requests"])  # type: ignore[arg-type]
        self.as_json = bool(given["as_json"])
        self.html: str | None = given["html"]  # type: ignore[assignment]


def _typed(context: click.Context) -> str:
    """The command as it was typed, for who wants to see the same again."""
    arguments = (
        sys.argv[1:]
        if context.parent and Path(sys.argv[0]).stem in {"fairlead", "__main__"}
        else ["simulate"]
    )
    return shlex.join(["fairlead", *arguments])


def _simulate(options: _Options, typed: str) -> None:
    scenario = read(options.scenario or "")
    configuration = _configuration(options.file, scenario)
    prepared = prepare(configuration, pool_of(configuration, options.pool), scenario, options.bounds)
    algorithms = _algorithms(options.compare, prepared.own)
    if options.html is not None:
        _try_to_write(options.html)
    outcomes = _run(prepared, algorithms, options.seed)
    if options.html is not None:
        source = options.file or f"the scenario {scenario.name}"
        text = page(scenario, prepared, outcomes, source=source, command=typed)
        try:
            Path(options.html).write_text(text)
        except OSError as error:
            raise FairleadError(_unwritable(options.html, error)) from None
    if options.as_json:
        click.echo(json.dumps(_plain(scenario, prepared, outcomes, options.seed), indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    console.print(_picture(scenario, prepared, outcomes, options.seed))
    if options.html is not None:
        console.print(f"\ncharts: {options.html}")


def _try_to_write(name: str) -> None:
    """Find out before all the work whether a file can be written, and leave nothing behind."""
    path = Path(name)
    is_new = not path.exists()
    try:
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(_unwritable(name, error)) from None


def _unwritable(name: str, error: OSError) -> str:
    return f"--html: cannot write {name}: {error.strerror}"


def _configuration(file: str | None, scenario: Read) -> Configuration:
    if file is not None:
        return load(file).configuration
    if scenario.scenario.configuration is None:
        message = f"the scenario {scenario.name} has no configuration of its own: say which FILE"
        raise UsageError(message)
    return scenario.scenario.configuration


def _algorithms(compare: str | None, own: str) -> list[str]:
    """Which to run, the pool's own first where nothing else was said."""
    if compare is None:
        return list(dict.fromkeys((own, *_USUAL)))
    if compare == "all":
        return list(dict.fromkeys((*_ALL, own)))
    names = [name.strip() for name in compare.split(",") if name.strip()]
    unknown = [name for name in names if name not in ALGORITHMS]
    if unknown or not names:
        message = f"--compare: no algorithm {', '.join(unknown)} ({', '.join(ALGORITHMS)})"
        raise UsageError(message)
    return list(dict.fromkeys(names))


def _run(prepared: Prepared, algorithms: Sequence[str], seed: int) -> tuple[Outcome, ...]:
    """With a bar for each algorithm, where somebody looks on."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=1.0) for name in algorithms}
        return run(
            prepared,
            algorithms,
            seed=seed,
            progress=lambda name, part: progress.update(tasks[name], completed=part),
        )


def _picture(scenario: Read, prepared: Prepared, outcomes: Sequence[Outcome], seed: int) -> RenderableType:
    requests = outcomes[0].report.requests
    facts = (
        f"pool {prepared.pool}, {len(prepared.ids)} backends, {requests:,} requests, "
        f"{prepared.per_second:,.0f}/s at first, seed {seed}"
    )
    parts: list[RenderableType] = [
        Text(f"{scenario.name}: {scenario.scenario.title}", style="bold"),
        Text(scenario.scenario.about.strip()),
        Text(facts, style="dim"),
        Text(),
        _table(outcomes),
        Text(_KEY, style="dim"),
    ]
    for outcome in outcomes:
        parts += _failures(outcome)
    parts += _changes(next((each for each in outcomes if each.configured), outcomes[0]))
    return Group(*parts)


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("algorithm", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    wins = best(outcomes)
    for place, outcome in enumerate(outcomes):
        cells = [
            Text(f"{cell} *", style="bold green") if place in wins[column] else Text(f"{cell}  ")
            for column, cell in zip(COLUMNS, told(outcome), strict=True)
        ]
        name = outcome.algorithm + (" (own)" if outcome.configured else "")
        table.add_row(name, *cells)
    return table


def _failures(outcome: Outcome) -> list[Text]:
    found = outcome.report.failures.items()
    if not found:
        return []
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found, key=lambda each: -each[1]))
    return [Text(f"failed with {outcome.algorithm}: {said}")]


def _changes(outcome: Outcome) -> list[Text]:
    """What became of backends, as one algorithm has it: with others it is much the same."""
    lines = verdicts(outcome)
    if not lines:
        return []
    more = (
        [f"  and {len(lines) - _SHOWN_EVENTS} more: --html shows them"] if len(lines) > _SHOWN_EVENTS else []
    )
    shown = [f"  {line}" for line in lines[:_SHOWN_EVENTS]]
    return [Text(f"\nbackends with {outcome.algorithm}:"), *(Text(line) for line in (*shown, *more))]


def _plain(scenario: Read, prepared: Prepared, outcomes: Sequence[Outcome], seed: int) -> dict[str, object]:
    return {
        "scenario": scenario.name,
        "pool": prepared.pool,
        "seed": seed,
        "algorithms": {
            outcome.algorithm: {"configured": outcome.configured, **outcome.report.model_dump(by_alias=True)}
            for outcome in outcomes
        },
    }
