"""How a pool keeps clients at the backend they went to before."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from fairlead.model.algorithm import KeyPart
from fairlead.model.choice import by_key
from fairlead.model.definition import Definition
from fairlead.model.value import (
    FIELD_NAME,
    Flag,
    HeaderName,
    Integer,
    OneOrMany,
    SecretText,
    Text,
    Word,
    refuse,
)
from fairlead.units import Duration

__all__ = [
    "Affinity",
    "Cookie",
    "CookieAffinity",
    "HeaderAffinity",
    "Learn",
    "LearnAffinity",
    "Table",
    "TableAffinity",
]

_SHORTEST = Duration(1_000)
_LONGEST = Duration(400 * 24 * 3_600_000)
"""Browsers keep no cookie longer (RFC 6265bis 5.5)."""


def _ttl(value: Duration) -> Duration:
    if not _SHORTEST <= value <= _LONGEST or value.milliseconds % 1000:
        message = f"{value} is out of range: whole seconds, 1s to {_LONGEST}"
        raise refuse(message)
    return value


def _cookie_name(value: str) -> str:
    # RFC 6265 4.1.1: made as names of fields are.
    if not re.fullmatch(FIELD_NAME, value, re.ASCII):
        message = f'"{value}" is no name of a cookie'
        raise refuse(message)
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[ -:<-~]*", value, re.ASCII):
        message = f'"{value}" is no path of a cookie: it begins with "/" and has no ";"'
        raise refuse(message)
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+", value, re.ASCII):
        message = f'"{value}" is no name of a host'
        raise refuse(message)
    return value


Seconds = Annotated[Duration, AfterValidator(_ttl)]


class Cookie(Definition):
    """A cookie that names a backend without telling its address. Backends don't see it."""

    name: Annotated[Text, AfterValidator(_cookie_name), Field(description="What it is called.")] = "SERVERID"
    ttl: Annotated[
        Seconds | None,
        Field(
            description="How long it lasts after the last answer; each answer renews it. Without it: until "
            "the browser is closed, and only an answer that changes it sets it.",
            examples=["1h"],
        ),
    ] = None
    secure: Annotated[
        Flag | None,
        Word("auto"),
        Field(
            description="Whether browsers send it over https only. `auto`: if it was set over https, as a "
            "proxy in `trusted` says by X-Forwarded-Proto.",
            examples=[True],
        ),
    ] = None
    same_site: Annotated[
        Literal["lax", "strict", "none"],
        Field(
            description="With which requests from other sites it is sent: those that open a page, none, or "
            "all (`none`: over https only)."
        ),
    ] = "lax"
    path: Annotated[Text, AfterValidator(_path), Field(description="Below which path it is sent.")] = "/"
    domain: Annotated[
        Annotated[Text, AfterValidator(_domain)] | None,
        Field(
            description="To which host and all below it. Without it: to the one that was asked.",
            examples=["example.com"],
        ),
    ] = None
    secret: Annotated[
        Annotated[SecretText, Field(min_length=16)] | None,
        Field(
            description="What its values are made with: the same on all nodes; better `secret_file`, a file "
            "that holds it. Without it: one of this node's own, kept in `runtime.directory`."
        ),
    ] = None


MaxEntries = Annotated[
    Integer,
    Field(
        description="The most that are remembered, at 8 bytes each; then those give way that were not used "
        "for the longest time.",
        ge=1_000,
        le=50_000_000,
    ),
]
Remembered = Annotated[
    Seconds, Field(description="How long a client is remembered after its last request.", examples=["30m"])
]


class Learn(Definition):
    """A cookie that backends set, whose values are learnt from their answers."""

    response_cookie: Annotated[
        Text, AfterValidator(_cookie_name), Field(description="What it is called.", examples=["JSESSIONID"])
    ]
    ttl: Remembered = Duration(30 * 60_000)
    max_entries: MaxEntries = 1_000_000


class Table(Definition):
    """Clients and the backends that their first requests went to."""

    key: Annotated[
        OneOrMany[KeyPart],
        Field(
            description="What clients are told apart by: `client`, `header:NAME`, `cookie:NAME`, "
            "`query:NAME`, `path`, or a list that counts together. A request that has none of it goes where "
            "the algorithm says.",
            examples=["header:X-Session", ["client", "header:User-Agent"]],
        ),
    ] = ("client",)
    ttl: Remembered = Duration(30 * 60_000)
    max_entries: MaxEntries = 1_000_000
    store: Annotated[
        Literal["memory", "redis"],
        Field(
            description="Who else knows the table: nobody, or all nodes with the same `cluster.redis`. This "
            "node serves by its own memory, whether that is there or not."
        ),
    ] = "memory"


class _Affinity(Definition):
    """How clients are kept at their backends."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("cookie", "learn", "header", "table")

    on_failure: Annotated[
        Literal["rebalance", "fail"],
        Field(
            description="What becomes of a client whose backend is gone or full: it goes to another one and "
            "stays there, or its request is answered 503."
        ),
    ] = "rebalance"


class CookieAffinity(_Affinity):
    """By a cookie of Fairlead's own."""

    cookie: Annotated[Cookie, Field(description="The cookie.", examples=[{"name": "SERVERID", "ttl": "1h"}])]


class HeaderAffinity(_Affinity):
    """By the value of a header: equal values go to the same backend."""

    header: Annotated[HeaderName, Field(description="The header's name.", examples=["X-Session"])]


class LearnAffinity(_Affinity):
    """By the value of a cookie that backends set."""

    learn: Annotated[Learn, Field(description="The cookie.", examples=[{"response_cookie": "JSESSIONID"}])]


class TableAffinity(_Affinity):
    """By a key of the request: whom it went to first is remembered."""

    table: Annotated[
        Table, Field(description="The key, and for how long.", examples=[{"key": "client", "ttl": "30m"}])
    ]


Affinity = Annotated[
    Annotated[CookieAffinity, Tag("<cookie>")]
    | Annotated[LearnAffinity, Tag("<learn>")]
    | Annotated[HeaderAffinity, Tag("<header>")]
    | Annotated[TableAffinity, Tag("<table>")],
    Discriminator(by_key(*_Affinity.ONE_OF)),
]
