"""What a backend learns about the client: made here, believed from trusted peers only, no look-alikes."""

import pytest

from support.backend import OK, answering
from support.message import Request
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROXY = "127.0.0.9"
CONFIGURATION = {
    "listeners": {
        "web": {},
        "trusting": {"trusted": [f"{PROXY}/32", "10.0.0.0/8"]},
        "standard": {"routes": [{"request": {"forwarded": "forwarded"}, "pool": "app"}]},
        "both": {"routes": [{"request": {"forwarded": "both"}, "pool": "app"}]},
        "none": {"routes": [{"request": {"forwarded": "none"}, "pool": "app"}]},
    },
    "access_log": {"path": "stdout", "format": "client={client} id={request_id}"},
}
CLAIMS = (
    "X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n"
    "X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.5\r\n"
)
LOOK_ALIKES = (
    "X_Forwarded_For: 203.0.113.5\r\nx-forwarded_proto: https\r\nX_FORWARDED_HOST: evil\r\n"
    "X_Forwarded-Port: 1\r\nX_Request_ID: fake\r\n"
)


async def _seen(stage: Stage, fields: str, listener: str = "web", source: str | None = None) -> Request:
    stage.backend.behaviour = answering(OK)
    client = await stage.client(listener, source=source)
    client.send(f"GET / HTTP/1.1\r\nHost: a.example:8080\r\n{fields}\r\n".encode())
    assert (await client.answer()).status == 200
    return stage.backend.requests[-1]


def _forwarded(request: Request) -> dict[str, list[str]]:
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded")
    return {name: request.values(name) for name in names if request.values(name)}


async def test_stranger_is_described_by_us_alone(stage: Stage) -> None:
    request = await _seen(stage, CLAIMS)
    assert _forwarded(request) == {
        "X-Forwarded-For": ["127.0.0.1"],
        "X-Forwarded-Proto": ["http"],
        "X-Forwarded-Host": ["a.example:8080"],
        "X-Forwarded-Port": ["8080"],
    }


@pytest.mark.parametrize("listener", ["web", "none"])
async def test_look_alikes_of_a_stranger_are_removed(stage: Stage, listener: str) -> None:
    request = await _seen(stage, CLAIMS + LOOK_ALIKES + "X-Kept: 1\r\nX_Other: 2\r\n", listener)
    assert not [name for name, _ in request.fields if "_" in name and name != "X_Other"]
    assert (request.value("X-Kept"), request.value("X_Other")) == ("1", "2")
    assert "203.0.113.5" not in str(request.fields)


async def test_host_is_passed_on_unchanged(stage: Stage) -> None:
    assert (await _seen(stage, "")).values("Host") == ["a.example:8080"]


async def test_trusted_peer_is_believed_and_added_to_the_list(stage: Stage) -> None:
    request = await _seen(stage, CLAIMS.replace("Forwarded: for", "X-Not: for"), "trusting", PROXY)
    assert request.value("X-Forwarded-For") == f"203.0.113.5, {PROXY}"
    assert request.value("X-Forwarded-Proto") == "https"
    assert request.value("X-Forwarded-Host") == "evil.example"
    assert request.value("X-Forwarded-Port") == "443"


async def test_peer_outside_the_trusted_networks_is_a_stranger(stage: Stage) -> None:
    request = await _seen(stage, CLAIMS, "trusting", "127.0.0.10")
    assert request.value("X-Forwarded-For") == "127.0.0.10"


@pytest.mark.parametrize(
    ("claimed", "client"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("198.51.100.1, 203.0.113.5, 10.1.2.3", "203.0.113.5"),
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("2001:db8::5, 10.1.2.3", "2001:db8::5"),
        ("203.0.113.5\r\nX-Forwarded-For: 203.0.113.6, 10.1.2.3", "203.0.113.6"),
    ],
)
async def test_client_is_the_first_from_the_right_that_is_not_trusted(
    stage: Stage, claimed: str, client: str
) -> None:
    stage.fairlead.output.clear()
    await _seen(stage, f"X-Forwarded-For: {claimed}\r\nX-Request-ID: {client}\r\n", "trusting", PROXY)
    assert await stage.fairlead.said(f"id={client}") == f"client={client} id={client}"


async def test_standard_field_has_what_rfc_7239_says(stage: Stage) -> None:
    request = await _seen(stage, CLAIMS, "standard")
    assert _forwarded(request) == {"Forwarded": ['for=127.0.0.1;host="a.example:8080";proto=http']}


async def test_both_kinds_can_be_had(stage: Stage) -> None:
    found = _forwarded(await _seen(stage, "", "both"))
    assert found["X-Forwarded-For"] == ["127.0.0.1"]
    assert found["Forwarded"] == ['for=127.0.0.1;host="a.example:8080";proto=http']


async def test_none_means_none_not_even_the_clients(stage: Stage) -> None:
    assert _forwarded(await _seen(stage, CLAIMS, "none")) == {}
