"""What happens in a simulation, as a user writes it: a YAML file."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from fairlead.model import Configuration
from fairlead.model.choice import by_key
from fairlead.model.definition import Definition
from fairlead.model.value import Integer, Text, Timeout
from fairlead.simulate.amount import Amount, Count, Factor, Selection
from fairlead.units import Duration, Share

__all__ = [
    "Arrivals",
    "Checks",
    "ChecksFail",
    "Clients",
    "Cold",
    "Constant",
    "ErrorOptions",
    "Errors",
    "Event",
    "Exponential",
    "FromFile",
    "Lognormal",
    "PauseOptions",
    "Pauses",
    "Scenario",
    "Servers",
    "Slow",
    "Step",
    "What",
    "Work",
]


class Step(Definition):
    """The number of requests changes."""

    at: Annotated[Duration, Field(description="When, since the start.")]
    rate: Annotated[Amount, Field(description="To what.")]
    over: Annotated[Duration, Field(description="In what time; 0s: at once.")] = Duration(0)


class Arrivals(Definition):
    """Requests come in an open loop: whatever becomes of those before."""

    law: Annotated[
        Literal["poisson", "constant"],
        Field(description="`poisson`: as of clients that know nothing of each other. `constant`: evenly."),
    ] = "poisson"
    rate: Annotated[Amount, Field(description="A rate, or a part of what all backends can serve.")]
    steps: Annotated[tuple[Step, ...], Field(description="How it changes."), BeforeValidator(tuple)] = ()


class Clients(Definition):
    """Who asks: what hashing algorithms tell requests apart by, whatever their key is."""

    count: Annotated[Integer, Field(description="How many there are.", ge=1, le=1_000_000)] = 1000
    skew: Annotated[
        float,
        Field(
            description="The nth asks in proportion to 1 / n to the power of this; 0: all alike.", ge=0, le=5
        ),
    ] = 0.0


class _Work(Definition):
    """How long requests take."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("constant", "exponential", "lognormal", "file")


class Constant(_Work):
    """Every request is the same work."""

    constant: Timeout


class MeanTime(Definition):
    """A mean."""

    mean: Timeout


class Exponential(_Work):
    """Work without memory."""

    exponential: MeanTime


class Spread(Definition):
    """A median, and how far from it most of the work is."""

    median: Timeout
    sigma: Annotated[float, Field(description="The deviation of the logarithm.", ge=0, le=5)]


class Lognormal(_Work):
    """Most requests are short, some are long."""

    lognormal: Spread


class FromFile(_Work):
    """Work drawn from a file: a number of milliseconds in each line."""

    file: Text


Work = Annotated[
    Annotated[Constant, Tag("<constant>")]
    | Annotated[Exponential, Tag("<exponential>")]
    | Annotated[Lognormal, Tag("<lognormal>")]
    | Annotated[FromFile, Tag("<file>")],
    Discriminator(by_key(*_Work.ONE_OF)),
]


class Servers(Definition):
    """What stands behind backends."""

    slots: Annotated[
        Integer,
        Field(
            description="Requests that one works on at a time; the others wait in its line. A backend of "
            "twice the mean weight has twice as many.",
            ge=1,
            le=100_000,
        ),
    ] = 8
    backlog: Annotated[
        Annotated[Integer, Field(ge=1)] | None,
        Field(description="With so many in line it answers 503 at once. Without it the line has no end."),
    ] = None


class Checks(Definition):
    """How backends are checked, in a pool that says nothing of it."""

    interval: Timeout = Duration(10_000)
    fast_interval: Timeout = Duration(1_000)
    timeout: Timeout = Duration(5_000)
    initial: Literal["up", "down"] = "down"


class _What(Definition):
    """What befalls a backend."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("slow", "cold", "errors", "pauses", "checks_fail")


class Slow(_What):
    """Everything takes so many times as long."""

    slow: Factor


class Cold(_What):
    """The same, falling evenly to 1 until it is over."""

    cold: Factor


class ErrorOptions(Definition):
    """Which answers are errors."""

    share: Share
    status: Annotated[Integer, Field(ge=400, le=599)] = 500
    time: Annotated[
        Duration | None, Field(description="How long one takes; as long as a good answer without it.")
    ] = None


def _errors(value: object) -> object:
    return value if isinstance(value, (dict, ErrorOptions)) else {"share": value}


class Errors(_What):
    """A part of the answers are errors."""

    errors: Annotated[ErrorOptions, BeforeValidator(_errors)]


class PauseOptions(Definition):
    """How often, and how long."""

    every: Timeout
    lasting: Timeout


class Pauses(_What):
    """Standing still again and again, as while garbage is collected."""

    pauses: PauseOptions


class ChecksFail(_What):
    """A part of the checks fail, whatever the backend does."""

    checks_fail: Share


Word = Literal["hang", "refuse", "restart", "unreachable", "join", "leave"]
"""``hang``: takes requests, and goes on with them afterwards. ``refuse``, ``restart``: what it had is reset,
new connections are refused. ``unreachable``: nothing comes through. ``join``: it comes to the pool,
``leave``: it goes."""


What = Annotated[
    Annotated[Word, Tag("<word>")]
    | Annotated[Slow, Tag("<slow>")]
    | Annotated[Cold, Tag("<cold>")]
    | Annotated[Errors, Tag("<errors>")]
    | Annotated[Pauses, Tag("<pauses>")]
    | Annotated[ChecksFail, Tag("<checks_fail>")],
    Discriminator(by_key(*_What.ONE_OF, scalar="word")),
]


class Event(Definition):
    """Something befalls backends."""

    at: Annotated[Duration, Field(description="When it begins, since the start.")] = Duration(0)
    lasts: Annotated[Duration | None, Field(description="Without it: to the end.")] = None
    backends: Annotated[Selection, Field(description="Whom.")] = Count(1)
    what: Annotated[What, Field(description="What.")]


class Scenario(Definition):
    """A world around a pool, and what happens in it."""

    title: Text
    about: Annotated[Text, Field(description="What happens, and what it shows.")]
    lesson: Annotated[Text | None, Field(description="What to learn from it.")] = None
    duration: Annotated[Timeout, Field(description="Requests come for so long.")] = Duration(60_000)
    arrivals: Arrivals
    clients: Clients = Clients()
    safe: Annotated[Share, Field(description="Requests that may be done twice, as GET may.")] = Share(1.0)
    work: Annotated[Work, Field(description="The time that a backend in its best state takes for a request.")]
    servers: Servers = Servers()
    checks: Checks | None = None
    events: Annotated[tuple[Event, ...], BeforeValidator(tuple)] = ()
    configuration: Annotated[
        Configuration | None, Field(description="What is simulated when no configuration is given.")
    ] = None
