"""One rule of a listener: which requests, and what becomes of them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairlead.model.definition import Definition
from fairlead.model.hedge import Hedge
from fairlead.model.match import Match
from fairlead.model.retry import Retry
from fairlead.model.value import Flag, HeaderName, Integer, Name, Timeout, Word
from fairlead.units import Duration, Size

__all__ = ["RequestOptions", "Route", "RouteTimeouts"]


class RequestOptions(Definition):
    """What is changed in a request before a backend sees it."""

    RESERVED: ClassVar[tuple[str, ...]] = ("rewrite", "headers", "buffer")

    id: Annotated[
        HeaderName | None,
        Word(False),  # noqa: FBT003  (the word is `false`)
        Field(description="The header with the request's id, made if absent. `false` switches it off."),
    ] = "X-Request-ID"
    forwarded: Annotated[
        Literal["x-forwarded", "forwarded", "both", "none"],
        Field(
            description="How a backend learns of the client: X-Forwarded-*, Forwarded (RFC 7239), both, none."
        ),
    ] = "x-forwarded"


class RouteTimeouts(Definition):
    """How long a backend may take."""

    request: Annotated[
        Timeout | None,
        Word("none"),
        Field(
            description="For everything, from the head to the last byte; tunnels are exempt.",
            examples=["30s"],
        ),
    ] = None
    response: Annotated[
        Timeout, Field(description="From the last byte of the request to the head of the answer.")
    ] = Duration(60_000)
    stream_idle: Annotated[Timeout, Field(description="The longest gap within an answer.")] = Duration(
        300_000
    )


class Route(Definition):
    """A rule. Without `match` it takes every request that no better rule takes."""

    RESERVED: ClassVar[tuple[str, ...]] = (
        "split",
        "redirect",
        "respond",
        "mirror",
        "response",
        "compress",
        "cache",
        "rate_limit",
        "concurrency",
        "auth",
        "access",
        "cors",
        "waf",
    )
    ONE_OF: ClassVar[tuple[str, ...]] = ("pool", "split", "redirect", "respond")

    name: Annotated[
        Name | None,
        Field(description="Its name in logs and metrics, unique in its listener.", examples=["api-v2"]),
    ] = None
    match: Annotated[Match, Field(description="Which requests it takes.")] = Match()
    priority: Annotated[
        Integer,
        Field(
            description="Higher is tried first; among equals the more specific host and path, then order.",
            ge=-(2**31),
            lt=2**31,
        ),
    ] = 0
    pool: Annotated[Name, Field(description="The pool that serves it.", examples=["app"])]
    request: Annotated[RequestOptions, Field(description="Changes to the request.")] = RequestOptions()
    max_body_size: Annotated[
        Size | None,
        Field(description="The largest request body. Without it: the listener's.", examples=["10MiB"]),
    ] = None
    access_log: Annotated[Flag, Field(description="Whether its requests are in the access log.")] = True
    timeouts: Annotated[RouteTimeouts, Field(description="How long a backend may take.")] = RouteTimeouts()
    retry: Annotated[
        Retry | None,
        Field(
            description="Which requests are tried again. Without it: after connect failures on up to 8 "
            "backends, and once after a reset if the method is safe.",
            examples=[{"on": ["connect_failure", "reset", "503"], "attempts": 3}],
        ),
    ] = None
    hedge: Annotated[
        Hedge | None,
        Field(
            description="Which requests are sent to a second backend while the first one takes its time: "
            "those with a safe method and no body. Without it: none.",
            examples=[{"after": "p95", "budget": "5%"}],
        ),
    ] = None
