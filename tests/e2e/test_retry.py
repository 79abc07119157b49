"""What a route names is tried again, within its bounds; the rest is told to the client."""

import asyncio

import pytest

from support.backend import OK, Backend, Behaviour, answering
from support.peer import Peer
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

RETRY = {"on": ["connect_failure", "reset", "502", "503", "504"], "backoff": "1ms"}


def _listener(**retry: object) -> dict[str, object]:
    return {"routes": [{"pool": "app", "retry": {**RETRY, **retry}}]}


CONFIGURATION = {
    "listeners": {
        "web": _listener(),
        "idempotent": _listener(methods="idempotent", replay_size="100KiB"),
        "impatient": _listener(per_try_timeout="200ms"),
        "thrice": _listener(attempts=3),
        "only": {"routes": [{"pool": "only", "retry": RETRY}]},
        "scarce": {"routes": [{"pool": "scarce", "retry": {**RETRY, "budget": "1%", "backoff": "0s"}}]},
        "never": {"routes": [{"pool": "app", "retry": {"on": ["503"]}}]},
    },
    "pools": {
        "app": {"backends": ["@bad", "@app"], "algorithm": "first", "passive_health": "off"},
        "only": {"backends": ["@bad"]},
        "scarce": {"backends": ["@bad", "@app"], "algorithm": "first", "passive_health": "off"},
    },
}


def _status(status: int, body: bytes = b"sorry") -> bytes:
    return b"HTTP/1.1 %d Bad\r\nContent-Length: %d\r\nX-From: bad\r\n\r\n%s" % (status, len(body), body)


def _request(method: str, body: bytes = b"") -> bytes:
    return b"%s / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (method.encode(), len(body), body)


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def _resets(backend: Backend, peer: Peer) -> None:
    backend.requests.append(await peer.request())
    peer.reset()


async def _hangs(backend: Backend, peer: Peer) -> None:
    backend.requests.append(await peer.request())
    await asyncio.Event().wait()


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_named_answer_is_tried_again_elsewhere(stage: Stage, status: int) -> None:
    stage.backends["bad"].behaviour = answering(_status(status))
    stage.backend.behaviour = answering(OK)
    assert (await stage.ask(GET)).status == 200
    assert [len(backend.requests) for backend in stage.backends.values()] == [1, 1]


async def test_another_answer_is_the_client_s(stage: Stage) -> None:
    stage.backends["bad"].behaviour = answering(_status(500))
    answer = await stage.ask(GET)
    assert (answer.status, answer.body) == (500, b"sorry")
    assert stage.backend.untouched()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_method_that_is_not_safe_is_not_done_twice(stage: Stage, method: str) -> None:
    stage.backends["bad"].behaviour = answering(_status(503))
    answer = await stage.ask(_request(method, b"hi"))
    assert (answer.status, answer.body) == (503, b"sorry")
    assert stage.backend.untouched()


async def test_the_last_answer_is_passed_on_whole(stage: Stage) -> None:
    for backend in stage.backends.values():
        backend.behaviour = answering(_status(503, b"x" * 100_000))
    answer = await stage.ask(GET)
    assert (answer.status, answer.value("X-From"), answer.body) == (503, "bad", b"x" * 100_000)
    assert [len(backend.requests) for backend in stage.backends.values()] == [1, 1]


async def test_an_only_backend_is_asked_again(stage: Stage) -> None:
    contents = iter([_status(503), OK])

    async def recovers(backend: Backend, peer: Peer) -> None:
        while True:
            backend.requests.append(await peer.request(within=None))
            peer.send(next(contents))

    stage.backends["bad"].behaviour = recovers
    assert (await stage.ask(GET, "only")).status == 200
    assert stage.backends["bad"].connections == 1, "an answer that was read whole leaves its connection"


async def test_all_attempts_are_counted(stage: Stage) -> None:
    for backend in stage.backends.values():
        backend.behaviour = _resets
    assert (await stage.ask(GET, "thrice")).status == 502
    assert [len(backend.requests) for backend in stage.backends.values()] == [1, 1]


@pytest.mark.parametrize("fails", [answering(_status(503)), _resets], ids=["answer", "reset"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_is_sent_again_from_its_first_byte(
    stage: Stage, fails: Behaviour, *, chunked: bool
) -> None:
    stage.backends["bad"].behaviour = fails
    stage.backend.behaviour = answering(OK)
    body = bytes(range(256)) * 300
    request = _request("PUT", body)
    if chunked:
        chunks = b"".join(b"%x\r\n%s\r\n" % (100, body[at : at + 256][:100]) for at in range(0, 25_600, 256))
        request = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        body = b"".join(body[at : at + 100] for at in range(0, 25_600, 256))
    client = await stage.client("idempotent")
    client.send(request)
    assert (await client.answer()).status == 200
    assert [backend.requests[0].body for backend in stage.backends.values()] == [body, body]
    client.send(GET)
    assert (await client.answer()).status == 200, "the next request begins where the body ended"


async def test_a_body_larger_than_what_is_kept_is_not_sent_again(stage: Stage) -> None:
    stage.backends["bad"].behaviour = answering(_status(503))
    answer = await stage.ask(_request("PUT", b"x" * 200_000), "idempotent")
    assert answer.status == 503
    assert stage.backend.untouched()


async def test_a_try_that_takes_too_long_is_given_up_and_its_connection_closed(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    client = await stage.client("impatient")
    client.send(GET)
    peer, _ = await stage.backends["bad"].received()
    assert (await client.answer()).status == 200
    assert await peer.is_closed()


async def test_a_slow_try_of_another_method_is_the_end(stage: Stage) -> None:
    stage.backends["bad"].behaviour = _hangs
    assert (await stage.ask(_request("POST"), "impatient")).status == 504
    assert stage.backend.untouched()


async def test_an_answer_that_began_in_time_may_take_longer(stage: Stage) -> None:
    client = await stage.client("impatient")
    client.send(GET)
    peer, _ = await stage.backends["bad"].received()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
    assert (await client.head())[0].startswith("HTTP/1.1 200")
    # Another try on the same worker outlasts the limit meanwhile.
    stage.backends["bad"].behaviour = _hangs
    assert (await stage.ask(_request("POST"), "impatient")).status == 504
    peer.send(b"k")
    assert await client.read(2) == b"ok"


async def test_a_budget_bounds_what_is_tried_again(stage: Stage) -> None:
    stage.backends["bad"].behaviour = answering(_status(503, b""))
    stage.backend.behaviour = answering(OK)
    client = await stage.client("scarce")
    statuses = []
    for _ in range(150):
        client.send(GET)
        statuses.append((await client.answer()).status)
    # Ten a second for the ten seconds that count; a second may begin meanwhile.
    assert statuses[:100] == [200] * 100
    assert 503 in statuses[100:]


async def test_a_connect_failure_is_told_where_it_is_left_out(stage: Stage) -> None:
    await stage.backends["bad"].refuse()
    answer = await stage.ask(GET, "never")
    await stage.backends["bad"].listen()
    assert answer.status == 502
    assert stage.backend.untouched()
