"""How clients are kept, as it is written and as the engine reads it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.compile.affinity import affinity
from fairlead.config.wording import findings
from fairlead.errors import dotted
from fairlead.model import Configuration

PLAIN = {
    "name": "SERVERID",
    "ttl_s": None,
    "secure": "auto",
    "same_site": "lax",
    "path": "/",
    "domain": None,
    "secret": None,
}


def whole(chosen: object) -> dict[str, Any]:
    return {
        "listeners": {"web": {"bind": ":0", "pool": "app"}},
        "pools": {"app": {"backends": ["127.0.0.1:1"], "affinity": chosen}},
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"cookie": {}}, {"by": {"cookie": PLAIN}, "on_failure": "rebalance"}),
        (
            {"cookie": {"name": "n", "ttl": "8h", "secure": True, "secret": "x" * 16}, "on_failure": "fail"},
            {
                "by": {
                    "cookie": {**PLAIN, "name": "n", "ttl_s": 28_800, "secure": "always", "secret": "x" * 16}
                },
                "on_failure": "fail",
            },
        ),
        (
            {"cookie": {"secure": False, "same_site": "strict", "path": "/a b", "domain": "example.com"}},
            {
                "by": {
                    "cookie": {
                        **PLAIN,
                        "secure": "never",
                        "same_site": "strict",
                        "path": "/a b",
                        "domain": "example.com",
                    }
                },
                "on_failure": "rebalance",
            },
        ),
        (
            {"learn": {"response_cookie": "JSESSIONID"}},
            {
                "by": {
                    "learn": {
                        "response_cookie": "JSESSIONID",
                        "ttl_ms": 1_800_000,
                        "max_entries": 1_000_000,
                    }
                },
                "on_failure": "rebalance",
            },
        ),
        (
            {"table": {"key": ["client", "header:X"], "ttl": "5m", "max_entries": 5_000}},
            {
                "by": {
                    "table": {
                        "key": ["client", {"header": "X"}],
                        "ttl_ms": 300_000,
                        "max_entries": 5_000,
                        "shared": False,
                    }
                },
                "on_failure": "rebalance",
            },
        ),
        ({"header": "X-Session"}, {"by": {"header": "X-Session"}, "on_failure": "rebalance"}),
    ],
)
def test_what_is_written_is_what_the_engine_reads(written: object, read: object) -> None:
    assert affinity(Configuration.model_validate(whole(written)).pools["app"].affinity) == read


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "pools.app.affinity: needs exactly one of"),
        ({"cookie": {}, "header": "X"}, "pools.app.affinity.header: stands beside cookie"),
        ({"header": "a b"}, "pools.app.affinity.header: "),
        ({"cookie": {"name": "a;b"}}, 'pools.app.affinity.cookie.name: "a;b" is no name of a cookie'),
        ({"cookie": {"ttl": "1500ms"}}, "pools.app.affinity.cookie.ttl: 1500ms is out of range"),
        ({"cookie": {"path": "a"}}, 'pools.app.affinity.cookie.path: "a" is no path of a cookie'),
        ({"cookie": {"path": "/;x"}}, "pools.app.affinity.cookie.path: "),
        ({"cookie": {"domain": "a;b"}}, "pools.app.affinity.cookie.domain: "),
        ({"cookie": {"secret": "short"}}, "pools.app.affinity.cookie.secret: is too short"),
        ({"learn": {}}, "pools.app.affinity.learn.response_cookie: is missing"),
        ({"table": {"key": "jwt:sub"}}, 'pools.app.affinity.table.key: "jwt:sub" is not supported'),
        ({"table": {"max_entries": 1}}, "pools.app.affinity.table.max_entries: 1 is out of range"),
        ({"cookie": {}, "on_failure": "retry"}, "pools.app.affinity.on_failure: unknown on_failure"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(written: object, said: str) -> None:
    data = whole(written)
    with pytest.raises(ValidationError) as refused:
        Configuration.model_validate(data)
    found = [f"{dotted(one.path)}: {one.message}" for one in findings(refused.value, data)]
    assert any(one.startswith(said) for one in found), found


def test_a_secret_is_not_shown() -> None:
    configuration = Configuration.model_validate(whole({"cookie": {"secret": "not to be seen by anybody"}}))
    assert "not to be" not in configuration.model_dump_json()
    assert "not to be" not in repr(configuration)
