from __future__ import annotations

from typing import Any

import pytest

from support.advised import advised

TWO = {"backends": ["127.0.0.1:1", "127.0.0.1:2"]}
KEPT = "pools.app.affinity"
HASH = "pools.app.algorithm.consistent_hash"


def hashed(key: str, bounded_load: float | None = None) -> dict[str, Any]:
    options = {"key": key} | ({} if bounded_load is None else {"bounded_load": bounded_load})
    return {**TWO, "algorithm": {"consistent_hash": options}}


def kept(affinity: dict[str, Any]) -> dict[str, Any]:
    return {**TWO, "affinity": affinity}


def hints(**parts: Any) -> dict[str, str]:  # noqa: ANN401  (any part of a configuration)
    return advised(TWO, **parts)


def routes(*listed: dict[str, Any]) -> dict[str, str]:
    web = {"bind": ":0", "routes": [{"pool": "app", **each} for each in listed]}
    return hints(listeners={"web": web})


def test_a_sound_configuration_needs_no_advice() -> None:
    assert hints() == {}
    learns = kept({"learn": {"response_cookie": "S"}})
    assert hints(runtime={"user": "fairlead", "max_memory": "9MB"}, pools={"app": learns}) == {}


@pytest.mark.parametrize(
    ("parts", "path", "text"),
    [
        ({"runtime": {"workers": 8}}, "runtime.workers", "8 workers on 2 cores"),
        ({"runtime": {"user": "nginx"}}, "runtime.user", 'no user "nginx" on this machine'),
        (
            {
                "runtime": {"max_memory": "8MB"},
                "pools": {"app": kept({"learn": {"response_cookie": "S"}})},
            },
            "runtime.max_memory",
            "tables alone take 8MB",
        ),
        ({"access_log": None}, "listeners", "without access_log"),
        ({"admin": {"bind": ":9900"}}, "admin.bind", "add tokens"),
        ({"pools": {"app": {"backends": ["127.0.0.1:1"]}}}, "pools.app.backends", "one backend"),
        ({"pools": {"app": TWO, "old": TWO}}, "pools.old", "no listener or route uses it"),
        ({"pools": {"app": {**TWO, "max_in_flight": 1}}}, "pools.app.max_in_flight", "2 requests at once"),
        ({"pools": {"app": {**TWO, "algorithm": "first"}}}, "pools.app.algorithm", "the first backend"),
        ({"pools": {"app": hashed("path")}}, f"{HASH}.bounded_load", "one popular key"),
        ({"pools": {"app": kept({"cookie": {}})}}, f"{KEPT}.cookie.secret", "no other node"),
        (
            {"pools": {"app": kept({"cookie": {"same_site": "none", "secure": False, "secret": "x" * 16}})}},
            f"{KEPT}.cookie.secure",
            "browsers refuse",
        ),
        (
            {"pools": {"app": kept({"header": "X-Forwarded-For"})}},
            f"{KEPT}.header",
            "whatever a client wrote",
        ),
        (
            {
                "pools": {"app": kept({"header": "X-Session"})},
                "listeners": {"web": {"bind": ":0", "routes": [{"pool": "app", "hedge": {}}]}},
            },
            "listeners.web.routes[0].hedge",
            "nothing is hedged",
        ),
        ({"pools": {"app": kept({"table": {}})}}, f"{KEPT}.table.key", "all behind one NAT"),
        (
            {"pools": {"app": {**hashed("client"), "affinity": {"header": "X-Session"}}}},
            KEPT,
            "keep one of the two",
        ),
        ({"pools": {"app": hashed("header:X-Real-IP", 1.25)}}, f"{HASH}.key", "whatever a client wrote"),
        (
            {
                "pools": {"app": hashed("client")},
                "listeners": {"web": {"bind": "unix:/run/web.sock", "pool": "app"}},
            },
            f"{HASH}.key",
            "no address",
        ),
        (
            {"pools": {"app": {"backends": [{"address": f"127.0.0.1:{n}", "backup": True} for n in (1, 2)]}}},
            "pools.app.backends",
            "every backend is a backup",
        ),
        (
            {"pools": {"app": {"backends": [{"address": "127.0.0.1:1", "zone": "a"}, "127.0.0.1:2"]}}},
            "pools.app.backends",
            "without runtime.zone",
        ),
        (
            {"pools": {"app": {**TWO, "timeouts": {"connect": "30s"}}}},
            "pools.app.timeouts.connect",
            "30s passes",
        ),
        (
            {"pools": {"app": {**TWO, "circuit_breaker": {}}}},
            "pools.app.circuit_breaker",
            "the other one has all of its load",
        ),
        ({"pools": {"app": {**TWO, "queue": {}}}}, "pools.app.queue", "nobody ever waits"),
    ],
)
def test_what_an_expert_would_say(parts: dict[str, Any], path: str, text: str) -> None:
    found = hints(**parts)
    assert list(found) == [path]
    assert text in found[path]


def test_hedges_that_help_nobody_are_told() -> None:
    at = "listeners.web.routes[0].hedge"
    assert routes({"hedge": {}}) == {}
    assert "none but one" in routes({"hedge": {"budget": "0%"}})[f"{at}.budget"]
    assert "up to 50% more" in routes({"hedge": {"budget": "50%"}})[f"{at}.budget"]
    web = {"bind": ":0", "routes": [{"pool": "app", "hedge": {}}]}
    one = hints(listeners={"web": web}, pools={"app": {"backends": ["127.0.0.1:1"]}})
    assert "one backend" in one[at]


def test_weights_that_are_all_0_leave_nobody_to_ask() -> None:
    backends = [{"address": f"127.0.0.1:{port}", "weight": 0} for port in (1, 2)]
    assert "503" in hints(pools={"app": {"backends": backends}})["pools.app.backends"]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "128.0.0.0/1"])
def test_trusting_the_world_is_told(network: str) -> None:
    web = {"bind": ":0", "pool": "app", "trusted": ["10.0.0.0/8", network]}
    assert list(hints(listeners={"web": web})) == ["listeners.web.trusted[1]"]


def test_an_admin_address_on_loopback_or_with_tokens_is_fine() -> None:
    tokens = {"ops": {"role": "viewer", "token": "0123456789abcdef"}}
    assert hints(admin={"bind": ["127.0.0.1:9900", "[::1]:9900", "unix:/run/a.sock"]}) == {}
    assert hints(admin={"bind": ":9900", "tokens": tokens}) == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"match": {"host": "a.example"}}, {"match": {"host": "a.example"}}),
        ({"match": {"path": ["/a", "/b"]}}, {"match": {"path": "/b"}}),
        ({"priority": 1}, {"match": {"host": "a.example", "path": "/a"}}),
        ({"priority": 1, "match": {"host": "*.example"}}, {"match": {"host": "x.a.example"}}),
        ({"priority": 1, "match": {"path": "/a/*"}}, {"match": {"path": "/a/b/*"}}),
        ({"match": {"path": {"regex": "x"}}}, {"match": {"path": {"regex": "x"}}}),
    ],
)
def test_a_route_whose_requests_another_takes_is_told(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert routes(first, second) == {
        "listeners.web.routes[1]": "never wins: routes[0] takes all of its requests"
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"match": {"host": "a.example"}}),
        ({"match": {"path": "/a/*"}}, {"match": {"path": "/a"}}),
        ({"match": {"path": "/a/*"}}, {"match": {"path": "/ab"}}),
        ({"match": {"host": "*.example"}}, {"match": {"host": "a.example"}}),
        ({"match": {"path": "/a"}}, {"match": {"path": ["/a", "/b"]}}),
        ({"priority": 1, "match": {"host": "*.example"}}, {"match": {"host": "example"}}),
        ({"match": {"host": "a.example"}}, {"priority": 1, "match": {"host": "a.example"}, "pool": "app"}),
    ],
)
def test_a_route_that_wins_sometimes_is_not(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert "listeners.web.routes[1]" not in routes(first, second)
