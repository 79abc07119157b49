"""``fairlead schema``: the format for editors, and for people."""

import json

import click

from fairlead.config.manual import manual
from fairlead.config.schema import schema

__all__ = ["command"]

EPILOG = """\b
Examples:
  fairlead schema > fairlead.schema.json
  fairlead schema --format markdown > configuration.md

\b
With the YAML language server, a file's first line then is:
  # yaml-language-server: $schema=fairlead.schema.json"""


@click.command("schema", epilog=EPILOG)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="JSON Schema for editors, or the reference page.",
)
def command(form: str) -> None:
    """Print the JSON Schema of the configuration, or its reference page."""
    if form == "markdown":
        click.echo(manual(), nl=False)
    else:
        click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))
