"""Each request of the corpus gets its verdict, and nothing that was refused reaches a backend."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.backend import Backend
from support.message import Answer, Fields, Request
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = json.loads((Path(__file__).parent / "http1" / "requests.json").read_text())
SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: sentinel\r\n\r\n"
OURS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id"}
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
READ_AT_ONCE = 8192
"""What is this short arrives with its head in one piece."""

# A path shows in which route takes it: the requests that say one have a pool of their own.
PATHS = sorted(
    {case["verdict"]["accept"]["path"] for case in CORPUS if "path" in case["verdict"].get("accept", {})}
)
CONFIGURATION = {
    "listeners": {
        "web": {
            "routes": [*({"match": {"path": path}, "pool": "matched"} for path in PATHS), {"pool": "app"}]
        }
    },
    "pools": {"app": {"backends": ["@app"]}, "matched": {"backends": ["@matched"]}},
}


def _cases(*, accepted: bool | None = None, late: bool | None = None) -> list[Any]:
    return [
        pytest.param(case, id=case["name"])
        for case in CORPUS
        if accepted in {None, "accept" in case["verdict"]} and late in {None, case["body_late"]}
    ]


def _bytes(case: dict[str, Any]) -> bytes:
    content: str = case["bytes"]
    return content.encode("latin-1")


async def _oblige(backend: Backend, peer: Peer) -> None:
    """Answer each request once it is whole, asking for its body where it offers to wait."""
    while True:
        start, fields = await peer.head(within=None)
        if any(name.lower() == "expect" for name, _ in fields):
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = await peer.rest_of_request(start, fields)
        if not request.complete:
            return
        backend.requests.append(request)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"" if request.method == "HEAD" else b"ok")


@pytest.fixture(name="stage")
def _obliging(stage: Stage) -> Stage:
    for backend in stage.backends.values():
        backend.behaviour = _oblige
    return stage


@pytest.mark.parametrize("case", _cases(accepted=True))
async def test_accepted_request_arrives_as_it_was_meant(stage: Stage, case: dict[str, Any]) -> None:
    accept = case["verdict"]["accept"]
    client = await stage.client()
    client.send(_bytes(case))
    answer = await client.answer(_method(case))
    assert answer.status == 200, answer.body
    requests = [request for backend in stage.backends.values() for request in backend.requests]
    if accept.get("rest"):
        assert (await client.answer()).status == 200
        requests.append(stage.backend.requests[1])
    _check(accept, requests)
    if "path" in accept:
        assert stage.backends["matched"].requests, "the route of that path was not taken"
    if "persistent" in accept:
        await _check_persistence(
            client, answer, persistent=accept["persistent"], version=accept.get("version")
        )
    assert sum(len(backend.requests) for backend in stage.backends.values()) == len(requests) + (
        accept.get("persistent", False) is True
    )


@pytest.mark.parametrize("case", [*_cases(accepted=False, late=False), *_cases(accepted=False, late=True)])
async def test_refused_request_is_answered_so_and_nothing_reaches_a_backend(
    stage: Stage, case: dict[str, Any]
) -> None:
    client = await stage.client()
    client.send(_bytes(case))
    if case.get("eof"):
        client.finish()
    await _refused(client, case)
    await _only_the_sentinel(stage, partial=case.get("eof", False) or len(_bytes(case)) > READ_AT_ONCE)


@pytest.mark.parametrize("case", _cases(accepted=False, late=False))
async def test_refused_request_in_single_bytes_is_answered_the_same(
    stage: Stage, case: dict[str, Any]
) -> None:
    client = await stage.client()
    client.send_bytewise(_bytes(case))
    await _refused(client, case)
    await _only_the_sentinel(stage, partial=False)


@pytest.mark.parametrize("case", _cases(accepted=False, late=True))
async def test_body_that_goes_bad_later_is_never_completed(stage: Stage, case: dict[str, Any]) -> None:
    head, end, body = _bytes(case).partition(b"\r\n\r\n")
    client = await stage.client()
    client.send(head + end)
    while not any(b"\r\n\r\n" in content for content in stage.backend.bytes()):
        await _turn(stage)
    client.send_bytewise(body)
    if case.get("eof"):
        client.finish()
    await _refused(client, case)
    await _only_the_sentinel(stage, partial=True)


def _method(case: dict[str, Any]) -> str:
    return "HEAD" if case["bytes"].startswith("HEAD ") else "GET"


async def _turn(stage: Stage) -> None:
    """Give the backend a turn: whatever was on its way has been read when Fairlead answers this."""
    status, _ = await stage.fairlead.admin("/healthz")
    assert status == 200


async def _refused(client: Peer, case: dict[str, Any]) -> None:
    answer = await client.answer(_method(case))
    assert answer.status == case["verdict"]["status"], answer
    assert answer.complete
    assert answer.value("Connection") == "close"
    assert (answer.value("Proxy-Status") or "").startswith("fairlead; error=http_request_error"), answer
    assert await client.is_closed()


async def _only_the_sentinel(stage: Stage, *, partial: bool) -> None:
    """After one more request, nothing but that arrived, or, if `partial`, a beginning without an end."""
    assert (await stage.ask(SENTINEL)).status == 200
    assert [request.target for request in stage.backend.requests] == ["/sentinel"]
    arrived = [content for content in stage.backend.bytes() if not content.startswith(b"GET /sentinel ")]
    assert partial or not arrived, arrived
    assert not stage.backends["matched"].bytes()


def _check(accept: dict[str, Any], requests: list[Request]) -> None:
    request = requests[0]
    assert request.complete
    assert request.start[2] == "HTTP/1.1"
    following = ["/next"] if accept.get("rest") else []
    assert [found.target for found in requests] == [request.target, *following]
    for key, found in _found(request, accept).items():
        if key in accept:
            assert found == accept[key], key
    if "after_hop" in accept:
        assert not [name for name, _ in request.fields if name.lower() in HOP_BY_HOP]


def _found(request: Request, accept: dict[str, Any]) -> dict[str, object]:
    """What the backend saw where the corpus may name it."""
    upgrades = bool(request.values("Upgrade"))
    assert [option.lower() for option in request.values("Connection")] == (["upgrade"] if upgrades else [])
    return {
        "method": request.method,
        "target": request.target,
        "host": request.value("Host"),
        "body": request.framing,
        "data": request.body.decode("latin-1"),
        "trailers": _lists(request.trailers),
        "expect_continue": (request.value("Expect") or "").lower() == "100-continue",
        "upgrade": upgrades,
        "fields": [field for field in _lists(request.fields) if field in accept.get("fields", [])],
        "only_fields": _received(request),
        "after_hop": _received(request),
    }


def _received(request: Request) -> list[list[str]]:
    """What is left of the fields that the client sent."""
    return [[name, value] for name, value in request.fields if name.lower() not in OURS]


def _lists(fields: Fields) -> list[list[str]]:
    return [list(field) for field in fields]


async def _check_persistence(client: Peer, answer: Answer, *, persistent: bool, version: str | None) -> None:
    options = (answer.value("Connection") or "").lower()
    if not persistent:
        assert options == "close" or version == "1.0"
        assert await client.is_closed()
        return
    assert options == ("keep-alive" if version == "1.0" else "")
    client.send(SENTINEL)
    assert (await client.answer()).status == 200
