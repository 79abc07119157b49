"""``fairlead proxy``: serve without a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from fairlead.cli.run import serve
from fairlead.compile import Accepted, accept
from fairlead.config.wording import findings
from fairlead.errors import ConfigurationError, Problem, UsageError
from fairlead.model import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTENER = "web"
POOL = "app"


@click.command(name="proxy")
@click.argument("bind")
@click.argument("backends", metavar="BACKEND[=WEIGHT]...", nargs=-1, required=True)
@click.option(
    "--algorithm",
    default="round_robin",
    show_default=True,
    help="How a backend is chosen: round_robin, least_connections, least_time, random, ip_hash, "
    "consistent_hash or first.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Where its sockets and state are, instead of a temporary one.",
)
@click.option(
    "--ready-fd", type=int, metavar="N", help='Write the line "ready" to this descriptor once it serves.'
)
def command(
    bind: str, backends: tuple[str, ...], algorithm: str, directory: Path | None, ready_fd: int | None
) -> None:
    """Balance HTTP from the address BIND over backends, without a configuration file.

    BIND is :8080 for every address, 127.0.0.1:8080 for one, :0 for a free port, unix:/run/web.sock for a
    socket. A backend is HOST:PORT or unix:PATH, with =WEIGHT behind it for another weight than 1.

    \b
    Examples:
      fairlead proxy :8080 127.0.0.1:9001 127.0.0.1:9002
      fairlead proxy :8080 127.0.0.1:9001=3 127.0.0.1:9002 --algorithm least_connections
    """  # noqa: D301 - click's mark for text that keeps its lines
    source = ArgumentSource(bind, backends, algorithm)
    if directory is not None:
        serve(source, directory=directory, ready_fd=ready_fd)
        return
    with tempfile.TemporaryDirectory(prefix="fairlead-") as temporary:
        serve(source, directory=Path(temporary), ready_fd=ready_fd)


class ArgumentSource:
    """The configuration that a command line means: the same model that a file would make."""

    def __init__(self, bind: str, backends: tuple[str, ...], algorithm: str) -> None:
        self.name = "the command line"
        self._arguments = (bind, backends, algorithm)

    def read(self) -> Accepted:
        """Make the model; raises `UsageError` with every wrong argument."""
        bind, backends, algorithm = self._arguments
        data: dict[str, Any] = {
            "listeners": {LISTENER: {"bind": bind, "pool": POOL}},
            "pools": {POOL: {"algorithm": algorithm, "backends": [_backend(text) for text in backends]}},
        }
        try:
            configuration = Configuration.model_validate(data)
        except ValidationError as error:
            problems = [Problem(each.path, each.message) for each in findings(error, data)]
            raise UsageError("\n".join(str(one) for one in self.place(problems))) from None
        try:
            return accept(configuration)
        except ConfigurationError as error:
            raise UsageError("\n".join(str(one) for one in self.place(error.problems))) from None

    def forget(self) -> None:
        """See `Source.forget`: the arguments stay."""

    def place(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Name the argument that each problem comes from."""
        return tuple(Problem((), f"{self._argument(one)}: {one.message}") for one in problems)

    def _argument(self, problem: Problem) -> str:
        bind, backends, algorithm = self._arguments
        match problem.path:
            case ("listeners", _, "bind", *_):
                return f"BIND {bind}"
            case ("pools", _, "backends", int(index), *_):
                return f"BACKEND {backends[index]}"
            case ("pools", _, "algorithm", *_):
                return f"--algorithm {algorithm}"
            case _:
                return str(Problem(problem.path, "")).rstrip(": ")


def _backend(text: str) -> str | dict[str, Any]:
    """A backend as a file would have it; only digits behind the last ``=`` are a weight."""
    address, mark, weight = text.rpartition("=")
    return {"address": address, "weight": int(weight)} if mark and weight.isdecimal() else text
