"""Every request has an id: made here, kept from trusted peers, the same for the backend and the log."""

import re

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROXY = "127.0.0.9"
CONFIGURATION = {
    "listeners": {
        "web": {},
        "trusting": {"trusted": [PROXY]},
        "named": {"routes": [{"request": {"id": "X-Trace"}, "pool": "app"}]},
        "off": {"routes": [{"request": {"id": False}, "pool": "app"}]},
    },
    "access_log": {"path": "stdout", "format": "logged {request_id} {path}"},
}


async def _id(
    stage: Stage, given: str | None, listener: str, source: str | None = None, name: str = "X-Request-ID"
) -> list[str]:
    stage.backend.behaviour = answering(OK)
    client = await stage.client(listener, source=source)
    field = "" if given is None else f"{name}: {given}\r\n"
    client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode())
    assert (await client.answer()).status == 200
    return stage.backend.requests[-1].values(name)


async def test_id_is_made_and_differs_each_time(stage: Stage) -> None:
    found = {(await _id(stage, None, "web"))[0] for _ in range(50)}
    assert len(found) == 50
    assert all(re.fullmatch(r"[0-9a-f]{32}", made) for made in found)


async def test_id_of_a_stranger_is_replaced(stage: Stage) -> None:
    (made,) = await _id(stage, "forged", "web")
    assert re.fullmatch(r"[0-9a-f]{32}", made)


async def test_id_of_a_trusted_peer_is_kept(stage: Stage) -> None:
    assert await _id(stage, "from-the-edge-1", "trusting", PROXY) == ["from-the-edge-1"]


async def test_trusted_peer_without_an_id_gets_one(stage: Stage) -> None:
    assert len((await _id(stage, None, "trusting", PROXY))[0]) == 32


async def test_id_can_have_another_name(stage: Stage) -> None:
    assert len((await _id(stage, "forged", "named", name="X-Trace"))[0]) == 32
    assert stage.backend.requests[-1].values("X-Request-ID") == []


async def test_id_can_be_switched_off(stage: Stage) -> None:
    assert await _id(stage, None, "off") == []
    assert await _id(stage, "its-own", "off") == ["its-own"]


async def test_log_has_the_id_that_the_backend_saw(stage: Stage) -> None:
    (made,) = await _id(stage, None, "web")
    assert await stage.fairlead.said(f"logged {made} /")
