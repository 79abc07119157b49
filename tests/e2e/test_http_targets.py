"""Forms of the target, encoded slashes, and requests that end at this hop."""

import pytest

from support.backend import answering
from support.message import Answer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = [
    {"match": {"host": "b.example", "path": "/by/host"}, "pool": "b"},
    {"match": {"path": "/slash/a/b"}, "pool": "b"},
    {"pool": "app"},
]
CONFIGURATION = {
    "listeners": {
        "web": {"routes": ROUTES},
        "refuse": {"routes": ROUTES, "http": {"encoded_slashes": "refuse"}},
        "decode": {"routes": ROUTES, "http": {"encoded_slashes": "decode"}},
    },
    "pools": {"app": {"backends": ["@app"]}, "b": {"backends": ["@b"]}},
}


@pytest.fixture(name="stage")
def _answering(stage: Stage) -> Stage:
    for name, backend in stage.backends.items():
        backend.behaviour = answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name.encode())
        )
    return stage


async def _get(stage: Stage, target: str, listener: str = "web", host: str = "a.example") -> Answer:
    return await stage.ask(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), listener)


async def test_authority_of_an_absolute_target_replaces_host(stage: Stage) -> None:
    answer = await _get(stage, "http://b.example/by/host?q=1")
    assert answer.body == b"b", "routed by the authority, not by Host"
    (request,) = stage.backends["b"].requests
    assert (request.target, request.values("Host")) == ("/by/host?q=1", ["b.example"])
    assert request.value("X-Forwarded-Host") == "b.example"


async def test_host_does_not_route_against_an_absolute_target(stage: Stage) -> None:
    answer = await _get(stage, "http://a.example/by/host", host="b.example")
    assert answer.body == b"app"
    assert stage.backend.requests[0].values("Host") == ["a.example"]


async def test_asterisk_form_goes_on_as_it_is(stage: Stage) -> None:
    answer = await stage.ask(b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert answer.body == b"app"
    assert stage.backend.requests[0].target == "*"


async def test_connect_is_refused_with_the_methods_that_are_allowed(stage: Stage) -> None:
    answer = await stage.ask(b"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n")
    assert answer.status == 405
    assert "GET" in (answer.value("Allow") or "")
    assert "CONNECT" not in (answer.value("Allow") or "")


@pytest.mark.parametrize(
    ("listener", "status", "pool"), [("web", 200, "app"), ("refuse", 400, None), ("decode", 200, "b")]
)
async def test_encoded_slash_is_what_the_listener_says(
    stage: Stage, listener: str, status: int, pool: str | None
) -> None:
    answer = await _get(stage, "/slash/a%2Fb", listener)
    assert answer.status == status
    if pool is not None:
        assert answer.body == pool.encode()
        assert stage.backends[pool].requests[0].target == "/slash/a%2Fb", "forwarded as received"


@pytest.mark.parametrize(
    "target", ["/slash/./a/b", "/x/../slash/a/b", "//slash//a/b", "/%73lash/a/%62", "/slash/a/c/%2e%2e/b"]
)
async def test_paths_are_matched_normalised_and_forwarded_as_received(stage: Stage, target: str) -> None:
    assert (await _get(stage, target)).body == b"b"
    assert stage.backends["b"].requests[0].target == target


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_request_whose_last_hop_is_here_is_answered_here(stage: Stage, method: str) -> None:
    client = await stage.client()
    client.send(
        f"{method} /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nCookie: secret\r\nX-Mark: m\r\n\r\n".encode()
    )
    answer = await client.answer()
    assert answer.status == 200
    if method == "TRACE":
        assert answer.value("Content-Type") == "message/http"
        assert answer.body.startswith(b"TRACE /x HTTP/1.1\r\n")
        assert b"X-Mark: m" in answer.body
        assert b"secret" not in answer.body
    else:
        assert "GET" in (answer.value("Allow") or "")
    assert stage.backend.requests == []


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_request_with_hops_left_has_one_less(stage: Stage, method: str) -> None:
    await stage.ask(f"{method} /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n".encode())
    assert stage.backend.requests[0].values("Max-Forwards") == ["6"]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_more_hops_than_can_be_counted_become_as_many_as_can_be(stage: Stage, method: str) -> None:
    await stage.ask(f"{method} /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: {10**30}\r\n\r\n".encode())
    assert stage.backend.requests[0].values("Max-Forwards") == [str(2**64 - 2)]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
@pytest.mark.parametrize("hops", ["", "x", "+1", "1, 2", "0x1", "1\r\nMax-Forwards: 1"])
async def test_hops_that_are_no_number_are_refused(stage: Stage, method: str, hops: str) -> None:
    answer = await stage.ask(f"{method} /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: {hops}\r\n\r\n".encode())
    assert (answer.status, stage.backend.requests) == (400, [])


async def test_max_forwards_of_other_methods_is_left_alone(stage: Stage) -> None:
    await stage.ask(b"GET /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
    assert stage.backend.requests[0].values("Max-Forwards") == ["0"]
