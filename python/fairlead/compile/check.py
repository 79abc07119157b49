"""A check of backends, as the engine reads it."""

from typing import Any, Literal, Protocol

from fairlead.model import (
    BodyRegex,
    Configuration,
    ExecCheck,
    HeaderPresent,
    HeaderRegex,
    HealthCheck,
    HttpCheck,
    TcpCheck,
    TlsCheck,
)
from fairlead.units import Duration

__all__ = ["Paced", "asks_by_http", "check", "pace", "stream_pools"]

_OF_HTTP = frozenset({"type", "path", "method", "host", "headers", "expect"})


class Paced(Protocol):
    """Checks of a configuration, or of a simulation."""

    @property
    def interval(self) -> Duration: ...  # noqa: D102 - as a check has it

    @property
    def fast_interval(self) -> Duration: ...  # noqa: D102

    @property
    def timeout(self) -> Duration: ...  # noqa: D102

    @property
    def initial(self) -> Literal["up", "down"]: ...  # noqa: D102


def stream_pools(configuration: Configuration) -> frozenset[str]:
    """The pools that only TCP listeners lead to: nothing says that their backends speak HTTP."""
    by_tcp: set[str] = set()
    by_http: set[str] = set()
    for listener in configuration.listeners.values():
        (by_tcp if listener.protocol == "tcp" else by_http).update(listener.pools)
    return frozenset(by_tcp - by_http)


def asks_by_http(wanted: HealthCheck, *, stream: bool) -> bool:
    """Whether a check sends requests; in a pool of TCP, only if it is written so that it has to."""
    return isinstance(wanted, HttpCheck) and not (stream and _OF_HTTP.isdisjoint(wanted.model_fields_set))


def pace(wanted: Paced) -> dict[str, Any]:
    """Describe when checks are made, whatever they do."""
    return {
        "interval_ms": wanted.interval.milliseconds,
        "fast_interval_ms": wanted.fast_interval.milliseconds,
        "timeout_ms": wanted.timeout.milliseconds,
        "initially_up": wanted.initial == "up",
    }


def check(wanted: HealthCheck | None, *, stream: bool) -> dict[str, Any] | None:
    """Describe how backends are checked; None if they aren't."""
    if wanted is None:
        return None
    return {
        **pace(wanted),
        "healthy_threshold": wanted.healthy_threshold,
        "unhealthy_threshold": wanted.unhealthy_threshold,
        "port": wanted.port,
        "probe": _probe(wanted, stream=stream),
    }


def _probe(wanted: HealthCheck, *, stream: bool) -> dict[str, Any]:
    match wanted:
        case TcpCheck():
            return {"tcp": {}}
        case TlsCheck():
            return {"tls": {}}
        case HttpCheck() if not asks_by_http(wanted, stream=stream):
            return {"tcp": {}}
        case ExecCheck(command=command):
            return {"exec": {"command": list(command)}}
        case HttpCheck():
            return {"http": _http(wanted)}


def _http(wanted: HttpCheck) -> dict[str, Any]:
    expect = wanted.expect
    return {
        "method": wanted.method,
        "path": wanted.path,
        "host": wanted.host,
        "headers": [list(each) for each in wanted.headers.items()],
        "expect_statuses": [_range(each) for each in expect.status],
        "expect_body": _body(expect.body),
        "expect_headers": [[name, _header(test)] for name, test in expect.headers.items()],
    }


def _range(statuses: str) -> list[int]:
    low, _, high = statuses.partition("-")
    return [int(low), int(high or low)]


def _body(test: str | BodyRegex | None) -> dict[str, str] | None:
    if test is None:
        return None
    return {"regex": test.regex} if isinstance(test, BodyRegex) else {"text": test}


def _header(test: str | HeaderRegex | HeaderPresent) -> dict[str, Any]:
    match test:
        case HeaderRegex(regex=regex):
            return {"regex": regex}
        case HeaderPresent(present=present):
            return {"present": present}
        case pattern:
            return {"pattern": pattern}
