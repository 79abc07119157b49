"""``drain``, ``undrain``, ``disable``, ``enable`` and ``weight``: what an operator does to a backend."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from fairlead.admin.client import find
from fairlead.control.directory import defaults
from fairlead.errors import FairleadError
from fairlead.model.status import Operated

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., None]

_HIGHEST = 65_535
_LOOK_SECONDS = 0.5
_CONFIGURED = "configured"


def _target(_: click.Context, __: click.Parameter, text: str) -> tuple[str, str]:
    # The id of a backend may have slashes: `unix:/run/app.sock`.
    pool, _slash, backend = text.partition("/")
    if not pool or not backend:
        message = f"{text!r} must be a pool, a slash and a backend: app/10.0.0.1:8080"
        raise click.BadParameter(message)
    return pool, backend


def _weight(_: click.Context, __: click.Parameter, text: str) -> int | None:
    if text == _CONFIGURED:
        return None
    if not text.isdecimal() or int(text) > _HIGHEST:
        message = f"{text!r} must be 0 to {_HIGHEST}, or {_CONFIGURED!r}"
        raise click.BadParameter(message)
    return int(text)


def _options(command: Command) -> Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what it is now as JSON."),
        click.option(
            "--admin", metavar="ADDRESS", help="Its directory, a socket's path, HOST:PORT or a URL."
        ),
        click.argument("target", metavar="POOL/BACKEND", callback=_target),
    ):
        command = option(command)
    return command


@click.command(name="drain")
@_options
@click.option("--wait", is_flag=True, help="End only when it has nothing open any more.")
def drain(target: tuple[str, str], admin: str | None, *, as_json: bool, wait: bool) -> None:
    """Give a backend no new requests.

    What it has goes on: requests, downloads, WebSockets. What is still open after the pool's `drain` time is
    cut. It holds over reloads, until `undrain`.

    \b
    Examples:
      fairlead drain app/10.0.0.1:8080
      fairlead drain app/10.0.0.1:8080 --wait && ssh 10.0.0.1 reboot
    """  # noqa: D301 - click's mark for text that keeps its lines
    operated = _operate("drain", target, admin, as_json=as_json)
    if wait and operated.open:
        _wait(operated, admin, as_json=as_json)


@click.command(name="undrain")
@_options
def undrain(target: tuple[str, str], admin: str | None, *, as_json: bool) -> None:
    """Take a drain back: the backend gets requests again.

    \b
    Example:
      fairlead undrain app/10.0.0.1:8080
    """  # noqa: D301 - as above
    _operate("undrain", target, admin, as_json=as_json)


@click.command(name="disable")
@_options
def disable(target: tuple[str, str], admin: str | None, *, as_json: bool) -> None:
    """Give a backend no new requests, and cut at once what it has.

    It holds over reloads, until `enable`.

    \b
    Example:
      fairlead disable app/10.0.0.1:8080
    """  # noqa: D301 - as above
    _operate("disable", target, admin, as_json=as_json)


@click.command(name="enable")
@_options
def enable(target: tuple[str, str], admin: str | None, *, as_json: bool) -> None:
    """Take a disable back: the backend gets requests again.

    \b
    Example:
      fairlead enable app/10.0.0.1:8080
    """  # noqa: D301 - as above
    _operate("enable", target, admin, as_json=as_json)


@click.command(name="weight")
@_options
@click.argument("weight", metavar="N", callback=_weight)
def weight(target: tuple[str, str], weight: int | None, admin: str | None, *, as_json: bool) -> None:
    """Change a backend's weight, 0 to 65535.

    It holds over reloads, whatever they say, until it is changed again; `configured` gives the weight back to
    the configuration.

    \b
    Examples:
      fairlead weight app/10.0.0.1:8080 5
      fairlead weight app/10.0.0.1:8080 configured
    """  # noqa: D301 - as above
    _operate("weight", target, admin, {"weight": weight}, as_json=as_json)


def _operate(
    verb: str, target: tuple[str, str], admin: str | None, body: object = None, *, as_json: bool
) -> Operated:
    operated = find(admin, defaults()).operate(*target, verb, body)
    click.echo(operated.model_dump_json(indent=2) if as_json else _shown(operated))
    return operated


def _wait(operated: Operated, admin: str | None, *, as_json: bool) -> None:
    """Until it has nothing open; each change of what it has is printed. Raises if it is no longer drained."""
    client = find(admin, defaults())
    while operated.open:
        time.sleep(_LOOK_SECONDS)
        now = client.backend(operated.pool, operated.backend)
        if now.operator is None or now.operator.mode == "none":
            message = f"{now.pool}/{now.id} is no longer drained: somebody took it back"
            raise FairleadError(message)
        before = operated
        operated = before.model_copy(
            update={"state": now.state, "open": now.in_flight, "deadline_ms": now.deadline_ms}
        )
        if operated.open != before.open:
            click.echo(operated.model_dump_json() if as_json else _shown(operated))


def _shown(operated: Operated) -> str:
    name = f"{operated.pool}/{operated.backend}"
    text = f"{name}: {operated.state}, weight {operated.weight}, {operated.open} open"
    if operated.deadline_ms is None or not operated.open:
        return text
    left = max(operated.deadline_ms / 1000 - time.time(), 0)
    return f"{text}, cut in {left:.0f} s"
