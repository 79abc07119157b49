"""The command line: a file a verb, each loaded only when it is typed.

A verb's module has a click command named ``command``, or as its row says. To add one: write its module, add
its row to ``VERBS``.
"""

import sys
from importlib import import_module
from typing import NamedTuple

import click

from fairlead.errors import FairleadError

__all__ = ["VERBS", "Verb", "group", "main"]


class Verb(NamedTuple):
    """A row of the table: where the command is, and what ``fairlead --help`` says of it."""

    module: str
    summary: str
    attribute: str = "command"
    """Its name in the module, where several are."""


VERBS: dict[str, Verb] = {
    "run": Verb("fairlead.cli.run", "Serve a configuration file in the foreground."),
    "proxy": Verb("fairlead.cli.proxy", "Balance HTTP over backends without a configuration file."),
    "demo": Verb(
        "fairlead.cli.demo", "Show Fairlead at work: a backend dies, a weight changes, nothing fails."
    ),
    "check": Verb("fairlead.cli.check", "Say what is wrong with a configuration, then what could be better."),
    "simulate": Verb(
        "fairlead.cli.simulate", "Show what would happen to a pool, algorithm beside algorithm."
    ),
    "status": Verb("fairlead.cli.status", "Show what a running Fairlead serves and how it fares."),
    "top": Verb("fairlead.cli.top", "Show what goes on now, each second anew."),
    "reload": Verb("fairlead.cli.reload", "Have a running Fairlead read its configuration again."),
    "drain": Verb("fairlead.cli.operate", "Give a backend no new requests, and let it finish.", "drain"),
    "undrain": Verb("fairlead.cli.operate", "Take a drain back.", "undrain"),
    "disable": Verb(
        "fairlead.cli.operate", "Give a backend no new requests, and cut what it has.", "disable"
    ),
    "enable": Verb("fairlead.cli.operate", "Take a disable back.", "enable"),
    "weight": Verb("fairlead.cli.operate", "Change a backend's share until told otherwise.", "weight"),
    "schema": Verb("fairlead.cli.schema", "Print the JSON Schema of the configuration, or its reference."),
}


class LazyGroup(click.Group):
    """A group that knows its verbs by a table and imports only the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (as above)
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command = getattr(import_module(verb.module), verb.attribute)
        if not isinstance(command, click.Command):
            message = f"{verb.module}.{verb.attribute} is no click command"
            raise TypeError(message)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        # From the table: click's own way would import every verb to ask for its help.
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's call
    if wanted and not context.resilient_parsing:
        import fairlead  # noqa: PLC0415 - the native module is loaded only when it is asked

        click.echo(f"fairlead {fairlead.__version__}")
        context.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Fairlead, a load balancer for HTTP."""


def main() -> None:
    """Run the command line; what Fairlead refuses ends with a message and its exit code."""
    try:
        group(prog_name="fairlead")
    except FairleadError as error:
        click.echo(f"fairlead: {error}", err=True)
        sys.exit(error.exit_code)
