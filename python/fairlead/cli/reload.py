"""``fairlead reload``: have a running Fairlead read its configuration again."""

from __future__ import annotations

import json
import sys

import click

from fairlead.admin.client import find
from fairlead.control.directory import defaults


@click.command(name="reload")
@click.option("--admin", metavar="ADDRESS", help="Its directory, a socket's path, HOST:PORT or a URL.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(admin: str | None, *, as_json: bool) -> None:
    """Have a running Fairlead read its configuration again, and say what came of it.

    A configuration that can't be served changes nothing; what is wrong with it is shown and the exit code
    is 2, or 1 where only a restart would help.

    \b
    Example:
      fairlead reload --admin /run/fairlead
    """  # noqa: D301 - click's mark for text that keeps its lines
    result = find(admin, defaults()).reload()
    if as_json:
        click.echo(json.dumps(result.model_dump(mode="json"), indent=2))
    elif result.accepted:
        click.echo(f"reloaded: plan {result.plan_version} serves")
    else:
        for problem in result.problems:
            click.echo(str(problem), err=True)
        click.echo(f"refused: plan {result.plan_version} serves on", err=True)
    if not result.accepted:
        sys.exit(1 if result.needs_restart else 2)
