"""How backends are checked."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from fairlead.model.choice import by_key
from fairlead.model.definition import Definition, Reserved
from fairlead.model.value import Flag, HeaderName, Integer, Listed, OneOrMany, Text, Timeout, refuse
from fairlead.units import Duration

__all__ = [
    "BodyRegex",
    "ExecCheck",
    "Expect",
    "HeaderPresent",
    "HeaderRegex",
    "HealthCheck",
    "HttpCheck",
    "TcpCheck",
    "TlsCheck",
]

_SHORTEST = Duration(10)
_LONGEST = Duration(86_400_000)


def _interval(value: Duration) -> Duration:
    if not _SHORTEST <= value <= _LONGEST:
        message = f"{value} is out of range: {_SHORTEST} to {_LONGEST}"
        raise refuse(message)
    return value


def _path(value: str) -> str:
    # What the engine has against a path comes back from it; this one is the usual slip.
    if not value.startswith("/"):
        message = f'"{value}": a path starts with "/"'
        raise refuse(message)
    return value


def _statuses(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        message = "a status such as 200, or a range such as 200-399, is expected"
        raise refuse(message)
    found = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", value, re.ASCII)
    if of_a_kind := re.fullmatch("([1-5])[xX]{2}", value, re.ASCII):
        message = f'"{value}": write {of_a_kind[1]}00-{of_a_kind[1]}99'
        raise refuse(message)
    if found is None or int(found[1]) > int(found[2] or found[1]):
        message = f'"{value}" is neither a status nor a range of them: 100 to 599, such as 200-399'
        raise refuse(message)
    return str(value)


Statuses = Annotated[str, BeforeValidator(_statuses, json_schema_input_type=int | str)]
"""``200`` or ``200-399``."""


class BodyRegex(Definition):
    """A body by regular expression: Rust's syntax, unanchored, linear time."""

    regex: Annotated[Text, Field(description="The expression.", examples=['"status": ?"ok"'])]


class HeaderRegex(Definition):
    """A header by regular expression: Rust's syntax, unanchored, linear time."""

    regex: Annotated[Text, Field(description="The expression.", examples=["^1\\.[0-9]+$"])]


class HeaderPresent(Definition):
    """A header by whether it is there."""

    present: Annotated[Flag, Field(description="Whether it has to be there, or must not be.")]


_BodyTest = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[BodyRegex, Tag("<regex>")],
    Discriminator(by_key("regex", scalar="text")),
]
_HeaderTest = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[HeaderRegex, Tag("<regex>")]
    | Annotated[HeaderPresent, Tag("<present>")],
    Discriminator(by_key("present", "regex", otherwise="regex", scalar="text")),
]


class Expect(Definition):
    """What a good answer is: all that is given must hold."""

    status: Annotated[
        OneOrMany[Statuses],
        Field(description="Statuses and ranges of them, any of these.", examples=[["200-299", 401]]),
    ] = ("200-399",)
    body: Annotated[
        _BodyTest | None,
        Field(
            description="Text that is in the body, or `{regex: …}`; the first 64 KiB are looked at. Without "
            "it the head of the answer decides.",
            examples=["ready", {"regex": '"status": ?"ok"'}],
        ),
    ] = None
    headers: Annotated[
        dict[HeaderName, _HeaderTest],
        Field(
            description="Headers of the answer: a value, in which `*` is anything; `{regex: …}`; or "
            "`{present: true}`. Of several with a name, one has to be so.",
            examples=[{"X-Ready": "yes", "X-Version": {"regex": "^2\\."}}],
        ),
    ] = Field(default_factory=dict)


class _Check(Definition):
    """What every check has."""

    interval: Annotated[
        Duration,
        AfterValidator(_interval),
        Field(description="From one check of a backend to its next; 10ms to 24h."),
    ] = Duration(10_000)
    fast_interval: Annotated[
        Duration,
        AfterValidator(_interval),
        Field(description="The same while results disagree with what the backend is."),
    ] = Duration(1_000)
    timeout: Annotated[
        Timeout, Field(description="What a whole check may take, from connecting to the last byte it needs.")
    ] = Duration(5_000)
    healthy_threshold: Annotated[
        Integer, Field(description="Good results in a row that make it up again.", ge=1, le=1000)
    ] = 2
    unhealthy_threshold: Annotated[
        Integer, Field(description="Bad results in a row that make it down.", ge=1, le=1000)
    ] = 3
    initial: Annotated[
        Literal["down", "up"],
        Field(description="What it is before its first result, which decides at once."),
    ] = "down"
    port: Annotated[
        Annotated[Integer, Field(ge=1, le=65535)] | None,
        Field(description="In place of the backend's.", examples=[8081]),
    ] = None


class HttpCheck(_Check):
    """A request, and what its answer has to be."""

    type: Annotated[Literal["http"], Reserved("grpc", "udp"), Field(description="What a check does.")] = (
        "http"
    )
    path: Annotated[
        Text, AfterValidator(_path), Field(description="Path and query.", examples=["/health"])
    ] = "/"
    method: Annotated[
        Literal["GET", "HEAD"], Field(description="Its method; the answer to HEAD has no body.")
    ] = "GET"
    host: Annotated[
        Text | None,
        Field(description="`Host`. Without it: the address that is asked.", examples=["app.internal"]),
    ] = None
    headers: Annotated[
        dict[HeaderName, Text],
        Field(description="Further headers of the request.", examples=[{"X-Check": "fairlead"}]),
    ] = Field(default_factory=dict)
    expect: Annotated[Expect, Field(description="What a good answer is.")] = Expect()


class TcpCheck(_Check):
    """A connection: good if it is accepted."""

    type: Annotated[Literal["tcp"], Field(description="What a check does.")]


class TlsCheck(_Check):
    """A TLS handshake, as the pool's `tls` says: good if the certificate is."""

    type: Annotated[Literal["tls"], Field(description="What a check does.")]


class ExecCheck(_Check):
    """A program, run by the control process: good if it ends with 0."""

    type: Annotated[Literal["exec"], Field(description="What a check does.")]
    command: Annotated[
        Listed[Text],
        Field(
            description="The program and its arguments, without a shell. It finds the backend in the "
            "environment: FAIRLEAD_BACKEND, FAIRLEAD_ADDRESS, FAIRLEAD_PORT, FAIRLEAD_POOL. The first line "
            "it writes is the reason that is shown.",
            examples=[["/usr/local/bin/check-replica", "--max-lag", "10s"]],
        ),
    ]


def _kind(value: object) -> str:
    given = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    match given:
        case "tcp" | "tls" | "exec":
            return f"<{given}>"
        case _:
            # What is none of them is told so by this one.
            return "<http>"


HealthCheck = Annotated[
    Annotated[HttpCheck, Tag("<http>")]
    | Annotated[TcpCheck, Tag("<tcp>")]
    | Annotated[TlsCheck, Tag("<tls>")]
    | Annotated[ExecCheck, Tag("<exec>")],
    Discriminator(_kind),
]
