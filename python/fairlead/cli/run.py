"""``fairlead run``: serve a configuration file in the foreground."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairlead.cli.summary import summary
from fairlead.control.source import FileSource, Source
from fairlead.daemon import Daemon, Options

if TYPE_CHECKING:
    from fairlead.model import Configuration
    from fairlead.model.status import Status


@click.command(name="run")
@click.argument("file")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Where its sockets and state are, instead of runtime.directory.",
)
@click.option(
    "--ready-fd", type=int, metavar="N", help='Write the line "ready" to this descriptor once it serves.'
)
def command(file: str, directory: Path | None, ready_fd: int | None) -> None:
    """Serve the configuration FILE (YAML, TOML or JSON) in the foreground.

    SIGTERM and SIGINT drain and end, a second one ends at once. SIGHUP reloads the file, SIGUSR1 reopens
    the logs. If an engine process still serves on the directory after its control process died, it is
    adopted with all its connections.

    \b
    Example:
      fairlead run fairlead.yaml
    """  # noqa: D301 - click's mark for text that keeps its lines
    serve(FileSource(file), directory=directory, ready_fd=ready_fd)


def serve(source: Source, *, directory: Path | None, ready_fd: int | None) -> None:
    """Serve until a signal says to stop, with a summary for people at the start."""
    options = Options(directory=directory, ready_fd=ready_fd, announce=_announce)

    async def life() -> None:
        await Daemon(source, options).run()

    asyncio.run(life())


def _announce(status: Status, configuration: Configuration) -> None:
    """For people; who collects JSON has the same in the line that says ready."""
    if configuration.logging.format == "console":
        click.echo(summary(status, configuration), err=True)
