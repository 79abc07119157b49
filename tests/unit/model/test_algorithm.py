"""How a pool chooses, as it is written and as the engine reads it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.compile.algorithm import algorithm
from fairlead.config.wording import findings
from fairlead.errors import dotted
from fairlead.model import Configuration
from fairlead.model.algorithm import name

TEN_SECONDS = {"average": "peak_ewma", "window_ms": 10_000}


def whole(chosen: object) -> dict[str, Any]:
    return {
        "listeners": {"web": {"bind": ":0", "pool": "app"}},
        "pools": {"app": {"backends": ["127.0.0.1:1"], "algorithm": chosen}},
    }


@pytest.mark.parametrize(
    ("written", "called", "read"),
    [
        ("round_robin", "round_robin", "round_robin"),
        ("first", "first", "first"),
        ("least_time", "least_time", {"least_time": TEN_SECONDS}),
        (
            {"least_time": {"average": "ewma", "window": "500ms"}},
            "least_time",
            {"least_time": {"average": "ewma", "window_ms": 500}},
        ),
        ("random", "random", {"random": {"choices": 2, "by": "least_connections"}}),
        (
            {"random": {"choices": 3, "by": "least_time"}},
            "random",
            {"random": {"choices": 3, "by": {"least_time": TEN_SECONDS}}},
        ),
        ("ip_hash", "ip_hash", {"ip_hash": {"v6_prefix": 128}}),
        ({"ip_hash": {"v6_prefix": 64}}, "ip_hash", {"ip_hash": {"v6_prefix": 64}}),
        (
            "consistent_hash",
            "consistent_hash",
            {"consistent_hash": {"key": ["client"], "table": "maglev", "bounded_load_thousandths": None}},
        ),
        (
            {
                "consistent_hash": {
                    "key": ["header:X-Tenant", "cookie:id", "query:q", "path"],
                    "table": "ring",
                    "bounded_load": 1.25,
                }
            },
            "consistent_hash",
            {
                "consistent_hash": {
                    "key": [{"header": "X-Tenant"}, {"cookie": "id"}, {"query": "q"}, "path"],
                    "table": "ring",
                    "bounded_load_thousandths": 1250,
                }
            },
        ),
    ],
)
def test_each_way_of_writing_it(written: object, called: str, read: object) -> None:
    chosen = Configuration.model_validate(whole(written)).pools["app"].algorithm
    assert name(chosen) == called
    assert algorithm(chosen) == read


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("leastconn", "", 'unknown algorithm "leastconn" (did you mean "least_connections"?)'),
        ({"consistent_hash": {"key": "jwt:sub"}}, "consistent_hash.key", "not supported in this version"),
        ({"consistent_hash": {"key": "ip"}}, "consistent_hash.key", '"ip" is no key: write client, '),
        ({"consistent_hash": {"key": "header:"}}, "consistent_hash.key", "is no key"),
        ({"consistent_hash": {"key": ["path", "cookie:a b"]}}, "consistent_hash.key[1]", "is no key"),
        (
            {"consistent_hash": {"bounded_load": 0.5}},
            "consistent_hash.bounded_load",
            "out of range: 1 to 100",
        ),
        ({"consistent_hash": {"table": "magleb"}}, "consistent_hash.table", 'did you mean "maglev"?'),
        ({"random": {"choices": 0}}, "random.choices", "0 is out of range: 1 to 16"),
        ({"least_time": {"window": "0s"}}, "least_time.window", "must be more than 0"),
        ({"ip_hash": {"v6_prefix": 129}}, "ip_hash.v6_prefix", "129 is out of range: 1 to 128"),
        ({"ip_hash": {}, "random": {}}, "ip_hash", "stands beside random, and only one of them may"),
        ({"magic": {}}, "", "needs exactly one of least_time, random, ip_hash or consistent_hash"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(written: object, path: str, message: str) -> None:
    data = whole(written)
    with pytest.raises(ValidationError) as refused:
        Configuration.model_validate(data)
    found = {dotted(each.path): each.message for each in findings(refused.value, data)}
    at = f"pools.app.algorithm.{path}".rstrip(".")
    assert message in found[at], found
