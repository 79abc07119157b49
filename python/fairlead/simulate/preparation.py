"""From a configuration and a scenario to what the native module runs: numbers, and whom each is about."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from fairlead.compile import backends as described
from fairlead.compile import names, spec
from fairlead.compile.algorithm import algorithm as algorithm_spec
from fairlead.compile.check import pace
from fairlead.errors import UnitError, UsageError
from fairlead.model.algorithm import ConsistentHash, ConsistentHashAlgorithm
from fairlead.model.algorithm import name as algorithm_name
from fairlead.simulate.amount import Load, selected
from fairlead.simulate.scenario import (
    ChecksFail,
    Cold,
    Constant,
    Errors,
    Exponential,
    FromFile,
    Lognormal,
    Pauses,
    Slow,
)

if TYPE_CHECKING:
    from fairlead.compile import Json
    from fairlead.model import Configuration, Pool
    from fairlead.model.algorithm import Algorithm
    from fairlead.simulate.reading import Read
    from fairlead.simulate.scenario import Arrivals, Event, What
    from fairlead.units import Duration, Rate

__all__ = ["ALGORITHMS", "Bounds", "Prepared", "pool_of", "prepare"]

_BOUNDED = ConsistentHashAlgorithm(consistent_hash=ConsistentHash.model_validate({"bounded_load": 1.25}))

ALGORITHMS: dict[str, Algorithm] = {
    "round_robin": "round_robin",
    "least_connections": "least_connections",
    "least_time": "least_time",
    "random": "random",
    "ip_hash": "ip_hash",
    "consistent_hash": "consistent_hash",
    "bounded_hash": _BOUNDED,
    "first": "first",
}
"""What can be compared, with the options that each has there; ``bounded_hash`` is ``consistent_hash`` with a
bounded load of 1.25."""

_MOST_POINTS = 600
MOST_REQUESTS = 10_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is simulated, where the scenario shall not say."""

    duration: Duration | None = None
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the native module is given, but for the algorithm and the seed."""

    pool: str
    own: str
    """The algorithm that the pool is configured with."""
    spec: Json
    scenario: Json
    ids: tuple[str, ...]
    per_second: float
    """The rate of requests at the start."""

    def compared(self, name: str) -> Json:
        """The description with another algorithm; the pool's own has the options that are configured."""
        if name == self.own:
            return self.spec
        other = algorithm_spec(ALGORITHMS[name])
        pools = [
            {**each, "algorithm": other} if each["name"] == self.pool else each for each in self.spec["pools"]
        ]
        return {**self.spec, "pools": pools}


def pool_of(configuration: Configuration, wanted: str | None) -> str:
    """The pool that is meant: the one that is named, else the only one.

    Raises:
        UsageError: there is no such pool, or there are several and none is named.
    """
    pools = tuple(configuration.pools)
    if wanted is None and len(pools) == 1:
        return pools[0]
    if wanted in configuration.pools:
        return wanted
    said = f'no pool "{wanted}"' if wanted else "several pools: say which with --pool"
    message = f"{said} ({', '.join(pools)})"
    raise UsageError(message)


def prepare(configuration: Configuration, pool: str, read: Read, bounds: Bounds | None = None) -> Prepared:
    """Make numbers of all that is wanted.

    Raises:
        UsageError: the scenario does not fit the pool.
    """
    scenario, bounds = read.scenario, bounds or Bounds()
    model = configuration.pools[pool]
    members = _members(model)
    servers = _servers(members, scenario.servers.slots, scenario.servers.backlog)
    _absent(servers, scenario.events, members)
    law, mean = _law(read)
    capacity = sum(
        server["slots"] for server, member in zip(servers, members, strict=True) if not member["backup"]
    )
    rate = _rate(scenario.arrivals, capacity / mean)
    duration = (bounds.duration or scenario.duration).milliseconds
    if bounds.requests and not bounds.duration:
        duration = _long_enough(rate, bounds.requests)
    return Prepared(
        pool=pool,
        own=algorithm_name(model.algorithm),
        spec=_spec(configuration, pool, members),
        scenario={
            "duration_ms": duration,
            "requests": min(bounds.requests or MOST_REQUESTS, MOST_REQUESTS),
            "bucket_ms": 1000 * -(-duration // (1000 * _MOST_POINTS)),
            "workers": 1,
            "arrivals": {"law": scenario.arrivals.law, "rate": rate},
            "clients": {"count": scenario.clients.count, "skew": scenario.clients.skew},
            "safe": scenario.safe.fraction,
            "work": law,
            "servers": servers,
            "checks": _checks(model, read),
            "effects": [_effect(each, members) for each in scenario.events],
        },
        ids=tuple(member["id"] for member in members),
        per_second=rate[0]["per_second"],
    )


def _members(pool: Pool) -> list[Json]:
    """The backends as the engine reads them. A name is one backend: nothing is resolved or dialled."""
    nowhere = IPv4Address("192.0.2.1")
    members = described(pool, dict.fromkeys(names(pool), (nowhere,)))
    return [{**member, "id": backend.id} for member, backend in zip(members, pool.backends, strict=True)]


def _spec(configuration: Configuration, pool: str, members: list[Json]) -> Json:
    whole = spec(configuration, version=1)
    whole["pools"] = [
        {**each, "backends": members, "resolved": False} if each["name"] == pool else each
        for each in whole["pools"]
    ]
    return whole


def _servers(members: list[Json], slots: int, backlog: int | None) -> list[Json]:
    weights = [member["weight"] for member in members if member["weight"]]
    mean = Fraction(sum(weights), len(weights)) if weights else Fraction(1)
    share = [Fraction(member["weight"]) / mean if member["weight"] else Fraction(1) for member in members]
    return [{"slots": max(1, round(slots * each)), "backlog": backlog, "present": True} for each in share]


def _places(event: Event, members: list[Json]) -> list[int]:
    try:
        return selected(event.backends, [(member["id"], member["zone"]) for member in members])
    except UnitError as error:
        raise UsageError(str(error)) from None


def _absent(servers: list[Json], events: tuple[Event, ...], members: list[Json]) -> None:
    """Who joins later is not there before."""
    for event in events:
        if event.what == "join":
            for place in _places(event, members):
                servers[place]["present"] = False


def _law(read: Read) -> tuple[Json, float]:
    """The law of work, and its mean in seconds."""
    match read.scenario.work:
        case Constant(constant=time):
            return {"constant": {"ms": time.milliseconds}}, time.seconds
        case Exponential(exponential=law):
            return {"exponential": {"mean_ms": law.mean.milliseconds}}, law.mean.seconds
        case Lognormal(lognormal=law):
            mean = law.median.seconds * 2.718281828459045 ** (law.sigma**2 / 2)
            return {"lognormal": {"median_ms": law.median.milliseconds, "sigma": law.sigma}}, mean
        case FromFile():
            mean = sum(read.samples) / len(read.samples) / 1000
            return {"samples": {"ms": list(read.samples)}}, max(mean, 1e-6)


def _rate(arrivals: Arrivals, capacity: float) -> list[Json]:
    def per_second(amount: Load | Rate) -> float:
        return amount.fraction * capacity if isinstance(amount, Load) else float(amount.per_second)

    current = per_second(arrivals.rate)
    points: list[Json] = [{"at_ms": 0, "per_second": current}]
    for step in sorted(arrivals.steps, key=lambda each: each.at):
        # A ramp that is cut short by the next step begins that one where it would have ended.
        at = max(step.at.milliseconds, points[-1]["at_ms"])
        points.append({"at_ms": at, "per_second": current})
        current = per_second(step.rate)
        points.append({"at_ms": at + step.over.milliseconds, "per_second": current})
    return points


def _long_enough(rate: list[Json], requests: int) -> int:
    """Milliseconds in which so many requests come, with some to spare."""
    slowest = min((point["per_second"] for point in rate if point["per_second"] > 0), default=1.0)
    return min(int(requests / slowest * 1100) + 1000, 24 * 3_600_000)


def _checks(pool: Pool, read: Read) -> Json | None:
    checks = pool.health_check or read.scenario.checks
    return None if checks is None else pace(checks)


def _effect(event: Event, members: list[Json]) -> Json:
    begins = event.at.milliseconds
    ends = None if event.lasts is None else begins + event.lasts.milliseconds
    if ends is None and isinstance(event.what, Cold):
        ends = begins + 30_000
    return {
        "from_ms": begins,
        "until_ms": ends,
        "servers": _places(event, members),
        "what": _what(event.what),
    }


def _what(what: What) -> Json | str:  # noqa: PLR0911 - a line for each kind
    match what:
        case Slow(slow=factor):
            return {"slow": {"factor": factor}}
        case Cold(cold=factor):
            return {"cold": {"factor": factor}}
        case Errors(errors=options):
            time = None if options.time is None else options.time.milliseconds
            return {"errors": {"share": options.share.fraction, "status": options.status, "ms": time}}
        case Pauses(pauses=options):
            return {
                "pauses": {"every_ms": options.every.milliseconds, "lasting_ms": options.lasting.milliseconds}
            }
        case ChecksFail(checks_fail=share):
            return {"checks_fail": {"share": share.fraction}}
        case "restart":
            return "refuse"
        case word:
            return word
