"""Hints about checks: those that notice too late, too early or at too high a price."""

from collections.abc import Iterator

from fairlead.advise.hint import Hint
from fairlead.compile.check import asks_by_http, stream_pools
from fairlead.model import Configuration, ExecCheck, HealthCheck, HttpCheck, Pool

__all__ = ["hints"]

MANY = 1_000
"""Checks a second by the engine: about a tenth of a core, as docs/guides/health.md has it."""

MANY_PROGRAMS = 20
"""Programs a second: each is a process, of some milliseconds if it is small."""


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about ``health_check`` of ``pools``."""
    streams = stream_pools(configuration)
    for name, pool in configuration.pools.items():
        check = pool.health_check
        if check is None:
            if pool.passive_health is None:
                yield ("pools", name), "neither health_check nor passive_health notices a backend that fails"
            continue
        for path, message in (*_pace(pool, check), *_question(check, stream=name in streams)):
            yield ("pools", name, "health_check", *path), message


def _pace(pool: Pool, check: HealthCheck) -> Iterator[tuple[tuple[str, ...], str]]:
    if check.unhealthy_threshold == 1:
        yield ("unhealthy_threshold",), "one slow answer takes a backend out of service: 2 or 3 is usual"
    if check.timeout > check.interval:
        yield (
            ("timeout",),
            f"is longer than interval ({check.interval}): who is silent is checked less often than others",
        )
    if check.fast_interval > check.interval:
        yield ("fast_interval",), f"is longer than interval ({check.interval}), which is used instead"
    a_second = len(pool.backends) / check.interval.seconds
    if isinstance(check, ExecCheck):
        if a_second > MANY_PROGRAMS:
            yield ("interval",), f"starts {a_second:.0f} programs a second: a longer one costs less"
    elif a_second > MANY:
        yield (
            ("interval",),
            f"makes {a_second:.0f} checks a second, more than a tenth of a core: a longer one",
        )


def _question(check: HealthCheck, *, stream: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(check, HttpCheck) and check.path == "/" and asks_by_http(check, stream=stream):
        yield (), "asks for / each time: a path made for checks, such as /health, costs less and says more"
    if isinstance(check, ExecCheck) and len(check.command) == 1 and " " in check.command[0]:
        yield ("command",), "is one name with spaces in it: no shell takes it apart, write a list"
