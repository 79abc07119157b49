"""``fairlead check FILE``: what is wrong, then what could be better."""

import json
import os
import pwd
import sys
import time

import click

from fairlead.advise import Machine, advice
from fairlead.compile import certificates, engine_check, problems
from fairlead.config import read
from fairlead.config.reading import uncollected
from fairlead.errors import Problem, dotted

__all__ = ["command"]

EPILOG = """\b
Examples:
  fairlead check fairlead.yaml
  fairlead check --strict --json fairlead.yaml

Exit code: 0 fine (or advice only), 1 advice with --strict, 2 refused."""


@click.command("check", epilog=EPILOG)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--strict", is_flag=True, help="End with 1 if there is advice.")
@click.option("--json", "as_json", is_flag=True, help="Print errors and advice as JSON.")
def command(file: str, *, strict: bool, as_json: bool) -> None:
    """Say what is wrong with FILE, then what could be better about it.

    Nothing is started and no port is opened; files that it includes and secrets that it names are read.
    """
    # One run, then the process ends: the collector would only look through the tree again and again.
    with uncollected():
        reading = read(file, os.environ)
        _, errors = problems(reading, check=engine_check)
        hints: list[Problem] = []
        if not errors and reading.model is not None:
            machine = Machine(cores=len(os.sched_getaffinity(0)), has_user=_has_user)
            facts, _ = certificates(reading.model)
            hints = reading.locate(advice(reading.model, machine, facts, time.time()))
    if as_json:
        click.echo(json.dumps({"errors": _plain(errors), "advice": _plain(hints)}, indent=2))
    else:
        _print(file, errors, hints)
    sys.exit(2 if errors else 1 if hints and strict else 0)


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _print(file: str, errors: tuple[Problem, ...], hints: list[Problem]) -> None:
    for each in errors:
        click.echo(str(each))
    for each in hints:
        click.echo(f"advice: {each}")
    if errors:
        click.echo(f"{file}: refused, {_count(len(errors), 'error')}", err=True)
    else:
        click.echo(f"{file}: fine" + (f", {_count(len(hints), 'hint')}" if hints else ""), err=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _plain(found: tuple[Problem, ...] | list[Problem]) -> list[dict[str, object]]:
    return [
        {
            "path": dotted(each.path),
            "message": each.message,
            "file": each.place.file if each.place else None,
            "line": each.place.line if each.place else None,
            "column": each.place.column if each.place else None,
        }
        for each in found
    ]
