"""How a pool chooses a backend: a word, or a word with its options."""

import re
from typing import Annotated, ClassVar, Literal, NewType, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from fairlead.model.choice import Known, by_key
from fairlead.model.definition import Definition
from fairlead.model.value import FIELD_NAME, Expanded, Integer, OneOrMany, Timeout, refuse, unexpanded
from fairlead.units import Duration

__all__ = [
    "Algorithm",
    "AlgorithmName",
    "ConsistentHash",
    "ConsistentHashAlgorithm",
    "IpHash",
    "IpHashAlgorithm",
    "KeyPart",
    "LeastTime",
    "LeastTimeAlgorithm",
    "Random",
    "RandomAlgorithm",
    "name",
    "options",
]

AlgorithmName = Literal[
    "round_robin", "least_connections", "least_time", "random", "ip_hash", "consistent_hash", "first"
]

_PARAMETER = r"[^&=#\s]+"
_KEYS = "client, header:NAME, cookie:NAME, query:NAME or path"


def _key(value: str) -> str:
    kind, colon, name = value.partition(":")
    if kind == "jwt":
        message = f'"{value}" is not supported in this version'
        raise refuse(message)
    if kind in {"client", "path"} and not colon:
        return value
    # RFC 6265 4.1.1: names of cookies are made as those of fields are.
    pattern = {"header": FIELD_NAME, "cookie": FIELD_NAME, "query": _PARAMETER}.get(kind)
    if pattern is None or not re.fullmatch(pattern, name, re.ASCII):
        message = f'"{value}" is no key: write {_KEYS}'
        raise refuse(message)
    return value


KeyPart = Annotated[
    str,
    BeforeValidator(unexpanded, json_schema_input_type=str),
    AfterValidator(_key),
    Field(min_length=1),
    Known("client", "path", "header:", "cookie:", "query:"),
]

Factor = NewType("Factor", float)
"""A number from 1 on, kept to thousandths."""


def _factor(value: object) -> object:
    if isinstance(value, Expanded) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value, re.ASCII):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 1 <= value <= MOST_LOAD:
            message = f"{value} is out of range: 1 to {MOST_LOAD}, times the mean load"
            raise refuse(message)
        return float(value)
    return value


MOST_LOAD = 100
"""Beyond so many times the mean, a bound is none."""


class LeastTime(Definition):
    """How the times of answers are averaged."""

    average: Annotated[
        Literal["peak_ewma", "ewma"],
        Field(
            description="`peak_ewma`: a slower answer becomes the average at once, faster ones draw it down. "
            "`ewma`: both move it alike."
        ),
    ] = "peak_ewma"
    window: Annotated[
        Timeout, Field(description="After this time a past answer has lost 63 % of its weight.")
    ] = Duration(10_000)


class Random(Definition):
    """How the best of some backends drawn at random is found."""

    choices: Annotated[Integer, Field(description="How many are drawn, by weight.", ge=1, le=16)] = 2
    by: Annotated[
        Literal["least_connections", "least_time"],
        Field(description="What the best is: the lowest (active + 1) / weight, or that times the time."),
    ] = "least_connections"


class IpHash(Definition):
    """What of a client's address counts."""

    v6_prefix: Annotated[
        Integer,
        Field(
            description="Bits of an IPv6 address; 64 counts all of a network as one client.",
            ge=1,
            le=128,
        ),
    ] = 128


class ConsistentHash(Definition):
    """What requests are told apart by, and how the backend of each is found."""

    key: Annotated[
        OneOrMany[KeyPart],
        Field(
            description="`client`, `header:NAME`, `cookie:NAME`, `query:NAME`, `path`, or a list that counts "
            "together. A request that has none of it goes to the better of two drawn at random.",
            examples=["header:X-Tenant", ["client", "path"]],
        ),
    ] = ("client",)
    table: Annotated[
        Literal["ring", "maglev", "rendezvous"],
        Field(
            description="`maglev`: even, and a few keys more than needed move when backends change. `ring`: "
            "only the keys of who leaves move; as libketama places them. `rendezvous`: both, up to 1,000 "
            "backends, each looked at in every pick."
        ),
    ] = "maglev"
    bounded_load: Annotated[
        Annotated[Factor, BeforeValidator(_factor, json_schema_input_type=float)] | None,
        Field(
            description="The most that a backend takes, times the mean load; beyond it keys go on to the "
            "next. Without it: whatever its keys bring.",
            examples=[1.25],
        ),
    ] = None


class _Options(Definition):
    """An algorithm with options."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("least_time", "random", "ip_hash", "consistent_hash")

    @property
    def name(self) -> AlgorithmName:
        """What it is called: its only key."""
        (key,) = type(self).model_fields
        return cast("AlgorithmName", key)


class LeastTimeAlgorithm(_Options):
    """The one with the lowest (active + 1) * time / weight."""

    least_time: Annotated[
        LeastTime, Field(description="How times are averaged.", examples=[{"window": "10s"}])
    ]


class RandomAlgorithm(_Options):
    """The best of some drawn at random."""

    random: Annotated[Random, Field(description="How many, and what the best is.", examples=[{"choices": 2}])]


class IpHashAlgorithm(_Options):
    """The hash of the client's address modulo the weights."""

    ip_hash: Annotated[IpHash, Field(description="What of it counts.", examples=[{"v6_prefix": 64}])]


class ConsistentHashAlgorithm(_Options):
    """The one that the request's key belongs to."""

    consistent_hash: Annotated[
        ConsistentHash, Field(description="The key and the table.", examples=[{"key": "header:X-Tenant"}])
    ]


Algorithm = Annotated[
    Annotated[AlgorithmName, Tag("<name>")]
    | Annotated[LeastTimeAlgorithm, Tag("<least_time>")]
    | Annotated[RandomAlgorithm, Tag("<random>")]
    | Annotated[IpHashAlgorithm, Tag("<ip_hash>")]
    | Annotated[ConsistentHashAlgorithm, Tag("<consistent_hash>")],
    Discriminator(by_key(*_Options.ONE_OF, scalar="name")),
]


def options(algorithm: Algorithm) -> str | LeastTime | Random | IpHash | ConsistentHash:
    """The options of an algorithm, the default ones where only its name is written; else the name."""
    match algorithm:
        case LeastTimeAlgorithm():
            return algorithm.least_time
        case RandomAlgorithm():
            return algorithm.random
        case IpHashAlgorithm():
            return algorithm.ip_hash
        case ConsistentHashAlgorithm():
            return algorithm.consistent_hash
        case _:
            defaults = {
                "least_time": LeastTime,
                "random": Random,
                "ip_hash": IpHash,
                "consistent_hash": ConsistentHash,
            }
            return defaults[algorithm]() if algorithm in defaults else algorithm


def name(algorithm: Algorithm) -> AlgorithmName:
    """What an algorithm is called, with options or without."""
    return algorithm.name if isinstance(algorithm, _Options) else algorithm
