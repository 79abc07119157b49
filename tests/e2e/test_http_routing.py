"""Which route takes a request: by priority, then host, then path, then order in the file."""

import pytest

from support.backend import Backend, Behaviour
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES: list[dict[str, object]] = [
    {"name": "rest", "pool": "app"},
    {"name": "any-path", "match": {"path": "/api/*"}, "pool": "app"},
    {"name": "exact-path", "match": {"path": "/api/users"}, "pool": "app"},
    {"name": "longer-path", "match": {"path": "/api/users/*"}, "pool": "app"},
    {"name": "one-segment", "match": {"path": "/files/*/raw"}, "pool": "app"},
    {"name": "regex", "match": {"path": {"regex": "^/v[0-9]+/"}}, "pool": "app"},
    {"name": "host", "match": {"host": "api.example.com"}, "pool": "app"},
    {"name": "host-and-path", "match": {"host": "api.example.com", "path": "/api/*"}, "pool": "app"},
    {"name": "wildcard", "match": {"host": "*.example.com"}, "pool": "app"},
    {"name": "longer-wildcard", "match": {"host": "*.eu.example.com"}, "pool": "app"},
    {"name": "either", "match": {"host": ["one.test", "two.test"], "path": ["/a", "/b"]}, "pool": "app"},
    {"name": "first", "match": {"path": "/same"}, "pool": "app"},
    {"name": "second", "match": {"path": "/same"}, "pool": "app"},
    {"name": "urgent", "match": {"path": "/urgent/*"}, "priority": 10, "pool": "app"},
    {"name": "exact-but-late", "match": {"host": "api.example.com", "path": "/urgent/x"}, "pool": "app"},
]
CONFIGURATION = {
    "listeners": {"web": {"routes": ROUTES}, "strict": {"routes": ROUTES[1:3]}},
    "access_log": {"path": "stdout", "format": "{host}|{path}|{route}"},
}


def _ok() -> Behaviour:
    async def behave(backend: Backend, peer: Peer) -> None:
        while True:
            backend.requests.append(await peer.request(within=None))
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    return behave


@pytest.mark.parametrize(
    ("host", "path", "route"),
    [
        ("other.test", "/", "rest"),
        ("other.test", "/api", "any-path"),
        ("other.test", "/api/", "any-path"),
        ("other.test", "/api/x/y", "any-path"),
        ("other.test", "/apix", "rest"),
        ("other.test", "/API/x", "rest"),
        ("other.test", "/api/users", "exact-path"),
        ("other.test", "/api/users/7", "longer-path"),
        ("other.test", "/api/users?page=2", "exact-path"),
        ("other.test", "/files/a/raw", "one-segment"),
        ("other.test", "/files/a/b/raw", "rest"),
        ("other.test", "/files//raw", "rest"),
        ("other.test", "/v12/x", "regex"),
        ("other.test", "/x/v12/", "rest"),
        ("api.example.com", "/", "host"),
        ("API.Example.COM", "/", "host"),
        ("api.example.com:8443", "/", "host"),
        ("api.example.com", "/api/x", "host-and-path"),
        ("www.example.com", "/api/users", "wildcard"),
        ("example.com", "/", "rest"),
        ("a.eu.example.com", "/", "longer-wildcard"),
        ("two.test", "/b", "either"),
        ("two.test", "/c", "rest"),
        ("other.test", "/same", "first"),
        ("api.example.com", "/urgent/x", "urgent"),
    ],
)
async def test_best_route_takes_the_request(stage: Stage, host: str, path: str, route: str) -> None:
    stage.backend.behaviour = _ok()
    stage.fairlead.output.clear()
    answer = await stage.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == 200
    assert await stage.fairlead.said(f"{host}|{path}|") == f"{host}|{path}|{route}"


async def test_request_that_no_route_takes_is_not_found(stage: Stage) -> None:
    answer = await stage.ask(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", "strict")
    assert answer.status == 404
    assert (answer.value("Proxy-Status") or "").startswith("fairlead; error=destination_not_found")
    assert stage.backend.untouched()
