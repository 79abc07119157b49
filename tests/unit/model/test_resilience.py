"""Hedges, adaptive limits, queues and breakers, as they may be written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.compile import spec
from fairlead.config.wording import findings
from fairlead.errors import dotted
from fairlead.model import Configuration


def whole(pool: dict[str, Any], route: dict[str, Any]) -> dict[str, Any]:
    backends = ["127.0.0.1:1", "127.0.0.1:2"]
    return {
        "listeners": {"web": {"bind": ":0", "routes": [{"pool": "app", **route}]}},
        "pools": {"app": {"backends": backends, **pool}},
    }


def described(pool: dict[str, Any] | None = None, route: dict[str, Any] | None = None) -> dict[str, Any]:
    return spec(Configuration.model_validate(whole(pool or {}, route or {})), version=1)


@pytest.mark.parametrize(
    ("written", "after", "budget"),
    [
        ({}, {"percentile": 95}, 50),
        ({"after": "p50", "budget": "1%"}, {"percentile": 50}, 10),
        ({"after": "1.5s"}, {"ms": 1500}, 50),
    ],
)
def test_a_hedge_waits_for_a_percentile_or_a_time(
    written: dict[str, Any], after: dict[str, int], budget: int
) -> None:
    made = described(route={"hedge": written})["listeners"][0]["routes"][0]["hedge"]
    assert made == {"after": after, "budget_thousandths": budget}


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        (7, 7),
        ("adaptive", {"adaptive": {"min": 1, "max": 1000}}),
        ({"adaptive": {}}, {"adaptive": {"min": 1, "max": 1000}}),
        ({"adaptive": {"min": 4, "max": 4}}, {"adaptive": {"min": 4, "max": 4}}),
    ],
)
def test_a_limit_is_a_number_or_finds_itself(written: object, limit: object) -> None:
    backends = described({"max_in_flight": written})["pools"][0]["backends"]
    assert [backend["max_in_flight"] for backend in backends] == [limit, limit]


@pytest.mark.parametrize(
    ("pool", "route", "path", "message"),
    [
        ({}, {"hedge": {"after": "p100"}}, "listeners.web.routes[0].hedge.after", "no percentile"),
        ({}, {"hedge": {"after": "soon"}}, "listeners.web.routes[0].hedge.after", "no percentile"),
        ({}, {"hedge": {"after": "0s"}}, "listeners.web.routes[0].hedge.after", "more than 0"),
        ({}, {"hedge": {"after": 50}}, "listeners.web.routes[0].hedge.after", "says no unit"),
        ({"max_in_flight": 0}, {}, "pools.app.max_in_flight", "out of range: 1 or more"),
        ({"max_in_flight": "many"}, {}, "pools.app.max_in_flight", "a whole number or"),
        ({"max_in_flight": {"adaptive": {"min": 0}}}, {}, "pools.app.max_in_flight.adaptive.min", "range"),
        (
            {"max_in_flight": {"adaptive": {"min": 9, "max": 3}}},
            {},
            "pools.app.max_in_flight.adaptive",
            "min 9 is more than max 3",
        ),
        ({"queue": {"priority": "X-Priority"}}, {}, "pools.app.queue.priority", "write header:NAME"),
        ({"circuit_breaker": {"error_rate": "0%"}}, {}, "pools.app.circuit_breaker.error_rate", "range"),
        ({"circuit_breaker": {"window": "50ms"}}, {}, "pools.app.circuit_breaker.window", "range"),
    ],
)
def test_what_means_nothing_is_refused(
    pool: dict[str, Any], route: dict[str, Any], path: str, message: str
) -> None:
    data = whole(pool, route)
    with pytest.raises(ValidationError) as caught:
        Configuration.model_validate(data)
    (found,) = findings(caught.value, data)
    assert dotted(found.path) == path
    assert message in found.message
