"""Each answer of the corpus is relayed or refused as listed; what follows one never reaches a client."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.backend import OK
from support.message import Answer, Fields
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = json.loads((Path(__file__).parent / "http1" / "answers.json").read_text())
ACCEPTED = [pytest.param(case, id=case["name"]) for case in CORPUS if "accept" in case["verdict"]]
REFUSED = [pytest.param(case, id=case["name"]) for case in CORPUS if "status" in case["verdict"]]


async def _asked(stage: Stage, case: dict[str, Any]) -> tuple[Peer, Peer]:
    """A client that asked, and the backend's connection that has answered with the bytes of the case."""
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n" if " 101 " in case["bytes"][:20] else ""
    client = await stage.client()
    client.send(f"{case['request_method']} / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n".encode())
    peer, request = await stage.backend.received()
    assert request.method == case["request_method"]
    peer.send(case["bytes"].encode("latin-1"))
    if case.get("eof") or case["verdict"].get("accept", {}).get("body") == "close":
        peer.finish()
    return client, peer


@pytest.mark.parametrize("case", ACCEPTED)
async def test_accepted_answer_is_relayed_as_it_was_meant(stage: Stage, case: dict[str, Any]) -> None:
    accept = case["verdict"]["accept"]
    client, peer = await _asked(stage, case)
    if accept.get("upgrade"):
        answer = await client.answer()
        assert (answer.status, await client.read(len(accept["rest"]))) == (
            101,
            accept["rest"].encode("latin-1"),
        )
        return
    interim = 100 <= accept.get("status", 200) < 200
    if interim and case["bytes"].count("HTTP/") == 1:
        # The corpus has the interim answer alone: the final one comes here.
        peer.send(OK)
    whole = await client.answer(case["request_method"])
    assert whole.complete
    answer = whole.interim[0] if interim else whole
    _check(accept, answer)
    if interim:
        assert whole.status == 200
        return
    await _check_reuse(stage, client, peer, accept)


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_answer_is_a_502_or_incomplete(stage: Stage, case: dict[str, Any]) -> None:
    client, peer = await _asked(stage, case)
    method = case["request_method"]
    answer = await client.answer(method)
    if answer.status == 502:
        assert answer.complete
        status = answer.value("Proxy-Status") or ""
        assert status.startswith("fairlead; error=http_"), status
    else:
        assert case["body_late"], answer
        assert not answer.complete, answer
        assert answer.framing in {"length", "chunked"}
        assert await client.is_closed()
    assert await peer.is_closed()
    assert stage.backend.untouched(), "what a backend answered badly is not asked again"


@pytest.mark.parametrize("late", ["with the answer", "after it"])
async def test_bytes_that_nobody_asked_for_reach_no_client(stage: Stage, late: str) -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    client = await stage.client()
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    peer, _ = await stage.backend.received()
    peer.send(OK + (poison if late == "with the answer" else b""))
    assert (await client.answer()).body == b"ok"
    if late == "after it":
        peer.send(poison)
    assert await peer.is_closed(), "a connection with bytes of no answer is closed"
    client.send(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    other, request = await stage.backend.received()
    assert request.target == "/2"
    other.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
    assert (await client.answer()).body == b"good"


async def _check_reuse(stage: Stage, client: Peer, peer: Peer, accept: dict[str, Any]) -> None:
    """The next request takes the same connection exactly if the answer left it usable."""
    if accept.get("persistent", True) and not accept.get("rest") and accept.get("body") != "close":
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await peer.request()).target == "/next"
        peer.send(OK)
    else:
        assert await peer.is_closed()
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        other, request = await stage.backend.received()
        assert request.target == "/next"
        other.send(OK)
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"ok")


def _check(accept: dict[str, Any], answer: Answer) -> None:
    assert accept.get("status") in {None, answer.status}
    if "reason" in accept:
        assert answer.reason == accept["reason"]
    if "data" in accept:
        assert answer.body.decode("latin-1") == accept["data"]
    if accept.get("body") in {"length", "chunked", "none"}:
        assert answer.framing == accept["body"]
    if "trailers" in accept:
        assert _lists(answer.trailers) == accept["trailers"]
    if "fields" in accept:
        assert [field for field in _lists(answer.fields) if field in accept["fields"]] == accept["fields"]
    for key in {"only_fields", "after_hop"} & accept.keys():
        assert [field for field in _lists(answer.fields) if field[0] != "Date"] == accept[key]


def _lists(fields: Fields) -> list[list[str]]:
    return [list(field) for field in fields]
