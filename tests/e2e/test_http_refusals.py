"""What Fairlead answers itself when a client asked for too much, or for what isn't there, with the reason."""

import pytest

from support.backend import OK, answering
from support.message import Answer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "listeners": {
        "web": {
            "http": {"max_header_size": "2KiB", "max_headers": 16, "max_body_size": "1KiB"},
            "routes": [
                {"name": "small", "match": {"path": "/small"}, "max_body_size": "10B", "pool": "app"},
                {"match": {"path": "/empty"}, "pool": "empty"},
                {"match": {"path": "/in"}, "pool": "app"},
            ],
        },
    },
    "pools": {"app": {"backends": ["@app"]}, "empty": {"backends": [{"address": "@app", "weight": 0}]}},
}


def _request(start: str, *fields: str, body: str = "") -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", "Host: a", *fields, "", body]).encode()


def _why(answer: Answer) -> str:
    """The error type of the one member of `Proxy-Status` (RFC 9209 2)."""
    name, error, details = (part.strip() for part in (answer.value("Proxy-Status") or "").split(";"))
    assert name == "fairlead"
    assert details.startswith('details="')
    assert details.endswith('"')
    return error.removeprefix("error=")


@pytest.mark.parametrize(
    ("request_bytes", "status", "error"),
    [
        (_request("GET /nowhere"), 404, "destination_not_found"),
        (_request("CONNECT a:443"), 405, "http_request_error"),
        (_request("POST /in", "Content-Length: 1025"), 413, "http_request_error"),
        (_request("POST /small", "Content-Length: 11"), 413, "http_request_error"),
        (_request("GET /" + "x" * 3000), 414, "http_request_error"),
        (_request("GET /in", "X: " + "x" * 3000), 431, "http_request_error"),
        (_request("GET /in", *["X: y"] * 16), 431, "http_request_error"),
        (_request("POST /in", "Expect: x", "Content-Length: 1", body="x"), 417, "http_request_error"),
        (_request("POST /in", "Transfer-Encoding: gzip, chunked"), 501, "http_request_error"),
        (b"GET /in HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_request_error"),
        (b"GET /in HTTP/1.1\r\n\r\n", 400, "http_request_error"),
        (_request("OPTIONS /in", "Max-Forwards: -1"), 400, "http_request_error"),
        (_request("TRACE /in", "Max-Forwards: 1", "Max-Forwards: 2"), 400, "http_request_error"),
        (_request("GET /empty"), 503, "destination_unavailable"),
    ],
)
async def test_refusal_has_its_status_and_says_why(
    stage: Stage, request_bytes: bytes, status: int, error: str
) -> None:
    answer = await stage.ask(request_bytes)
    assert (answer.status, _why(answer)) == (status, error)
    assert answer.value("Content-Type") == "text/plain"
    assert answer.body.startswith(f"{status} {answer.reason}".encode())
    assert (answer.value("Retry-After") is not None) == (status == 503)
    assert stage.backend.untouched()


@pytest.mark.parametrize("field", ["Content-Length: 11", "Transfer-Encoding: chunked"])
async def test_body_too_large_is_counted_with_the_route_that_forbids_it(stage: Stage, field: str) -> None:
    async def counted() -> float:
        return await stage.metric("fairlead_requests_total", route="small", code="413")

    before = await counted()
    answer = await stage.ask(_request("POST /small", field, body="b\r\nfar too lon\r\n0\r\n\r\n"))
    assert answer.status == 413
    while await counted() != before + 1:
        pass


async def test_chunked_body_that_grows_too_large_is_refused(stage: Stage) -> None:
    client = await stage.client()
    client.send(_request("POST /in", "Transfer-Encoding: chunked"))
    peer = await stage.backend.accepted()
    start, fields = await peer.head()
    for _ in range(3):
        client.send(b"200\r\n", b"x" * 512, b"\r\n")
    answer = await client.answer()
    assert (answer.status, answer.value("Connection")) == (413, "close")
    assert not (await peer.rest_of_request(start, fields)).complete


async def test_body_of_exactly_the_limit_passes(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    for path, size in (("/in", 1024), ("/small", 10)):
        body = "x" * size
        answer = await stage.ask(_request(f"POST {path}", f"Content-Length: {size}", body=body))
        assert answer.status == 200
        assert stage.backend.requests[-1].body == body.encode()


async def test_connection_survives_a_refusal_that_leaves_it_clear(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client()
    client.send(_request("GET /nowhere"), _request("GET /in"))
    assert (await client.answer()).status == 404
    assert (await client.answer()).status == 200


async def test_client_that_sends_on_after_a_refusal_still_reads_it(stage: Stage) -> None:
    client = await stage.client()
    client.send(_request("POST /in", "Content-Length: 4000000"), b"x" * 4_000_000)
    assert (await client.answer()).status == 413
    assert await client.is_closed()
