"""Bodies arrive whole in every framing, both ways, with the trailers that may go on."""

from itertools import product

import pytest

from support.backend import OK
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = ("clear", "tls")

BODY = bytes(range(256)) * 40
SENT = {
    "length": b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x;ext=1\r\n%s\r\n0\r\n\r\n"
    % (BODY[:5], len(BODY) - 5, BODY[5:]),
}
EMPTY = {
    "none": b"\r\n",
    "length": b"Content-Length: 0\r\n\r\n",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("pieces", ["at once", "in pieces"])
@pytest.mark.parametrize(("request_framing", "answer_framing"), [*product(SENT, [*SENT, "close"])])
async def test_bodies_arrive_whole_in_every_pair_of_framings(
    stage: Stage, request_framing: str, answer_framing: str, pieces: str
) -> None:
    size = len(BODY) if pieces == "at once" else 1009
    client = await stage.client()
    content = b"POST /in HTTP/1.1\r\nHost: a\r\n" + SENT[request_framing]
    for at in range(0, len(content), size):
        await client.send_all(content[at : at + size])
    peer, request = await stage.backend.received()
    assert (request.framing, request.complete) == (request_framing, True)
    assert request.body == BODY
    answer_bytes = b"HTTP/1.1 200 OK\r\n" + SENT.get(answer_framing, b"\r\n" + BODY)
    for at in range(0, len(answer_bytes), size):
        await peer.send_all(answer_bytes[at : at + size])
    if answer_framing == "close":
        peer.finish()
    answer = await client.answer()
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == BODY
    # What only the end of the connection delimits is chunked for a client that knows chunks.
    assert answer.framing == ("chunked" if answer_framing == "close" else answer_framing)


@pytest.mark.parametrize("framing", EMPTY)
async def test_empty_bodies_stay_empty(stage: Stage, framing: str) -> None:
    client = await stage.client()
    client.send(b"POST /in HTTP/1.1\r\nHost: a\r\n" + EMPTY[framing])
    peer, request = await stage.backend.received()
    assert (request.framing, request.body) == (framing, b"")
    peer.send(b"HTTP/1.1 200 OK\r\n" + EMPTY["chunked" if framing == "none" else framing])
    answer = await client.answer()
    assert (answer.body, answer.complete) == (b"", True)


async def test_trailers_go_on_both_ways(stage: Stage) -> None:
    chunked = b"Transfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n2\r\nhi\r\n0\r\n%s\r\n"
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + chunked % b"Digest: x\r\nX-More: y\r\n")
    peer, request = await stage.backend.received()
    assert (request.body, request.trailers) == (b"hi", (("Digest", "x"), ("X-More", "y")))
    peer.send(b"HTTP/1.1 200 OK\r\n" + chunked % b"Server-Timing: t\r\n")
    answer = await client.answer()
    assert (answer.body, answer.trailers) == (b"hi", (("Server-Timing", "t"),))


async def test_trailers_that_frame_route_or_vouch_are_dropped(stage: Stage) -> None:
    client = await stage.client()
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        b"Content-Length: 3\r\nHost: b\r\nX-Forwarded-For: 1.2.3.4\r\nX-Kept: y\r\n\r\n"
    )
    peer, request = await stage.backend.received()
    assert request.trailers == (("X-Kept", "y"),)
    peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        b"Set-Cookie: a=b\r\nTransfer-Encoding: chunked\r\nX-Kept: z\r\n\r\n"
    )
    assert (await client.answer()).trailers == (("X-Kept", "z"),)


async def test_head_and_body_reach_the_backend_together(stage: Stage) -> None:
    client = await stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    peer = await stage.backend.accepted()
    # One segment, one read: the first that comes has all of it.
    first = await peer.reader.read(65536)
    assert first.endswith(b"\r\n\r\nhello")
    peer.send(OK)
    assert (await client.answer()).status == 200
