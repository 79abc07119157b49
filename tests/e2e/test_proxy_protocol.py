"""PROXY in and out: the client's address passes through, and a header is taken whole or refused."""

import contextlib
import json
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from support.backend import OK, answering
from support.haproxy import haproxy
from support.peer import Peer
from support.process import configuration, run, write
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = Path(__file__).parents[1] / "conformance" / "proxy_protocol"
PROXIES = ["127.0.0.0/24"]
"""The clients of these tests come from `127.0.0.1`, those that are no proxies from `127.0.1.1`."""

CONFIGURATION = {
    "listeners": {
        "web": {"accept_proxy": "optional", "trusted": PROXIES},
        "strict": {"accept_proxy": "required", "trusted": PROXIES, "timeouts": {"header": "800ms"}},
        "tcp": {"protocol": "tcp", "accept_proxy": "required", "trusted": PROXIES},
        "through": {"protocol": "tcp", "accept_proxy": "required", "trusted": PROXIES, "pool": "v2"},
        "one": {"protocol": "tcp", "pool": "v1"},
        "two": {"protocol": "tcp", "pool": "v2"},
        "web-one": {"pool": "v1"},
        "web-two": {"pool": "v2", "accept_proxy": "optional", "trusted": PROXIES},
        "each": {
            "protocol": "tcp",
            "accept_proxy": "required",
            "trusted": PROXIES,
            "max_connections_per_client": 1,
        },
    },
    "pools": {
        "app": {"backends": ["@app"]},
        "v1": {"backends": ["@app"], "send_proxy": "v1"},
        "v2": {"backends": ["@app"], "send_proxy": "v2"},
    },
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 443\r\n"


def _v2(source: str, destination: str, tlvs: bytes = b"") -> bytes:
    ends = [each.rpartition(":") for each in (source, destination)]
    block = b"".join(socket.inet_aton(host) for host, _, _ in ends)
    block += struct.pack(">HH", *(int(port) for _, _, port in ends)) + tlvs
    return SIGNATURE + b"\x21\x11" + struct.pack(">H", len(block)) + block


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


def _entries(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((CORPUS / name).read_text())
    return entries


def _port(peer: Peer) -> int:
    return int(peer.writer.get_extra_info("sockname")[1])


async def _forwarded(stage: Stage, header: bytes, listener: str = "web", fields: bytes = b"") -> str | None:
    """Which client a backend is told of."""
    stage.backend.behaviour = answering(OK)
    client = await stage.client(listener)
    client.send(header + GET[:-2] + fields + b"\r\n")
    assert (await client.answer()).status == 200
    return stage.backend.requests[-1].value("X-Forwarded-For")


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (V1, "192.0.2.9"),
        (_v2("192.0.2.8:1", "198.51.100.1:443"), "192.0.2.8"),
        (_v2("192.0.2.7:1", "198.51.100.1:443", _tlv(2, b"a.example")), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1"),
        (b"PROXY TCP6 ::ffff:192.0.2.6 ::1 1 2\r\n", "192.0.2.6"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
        (b"", "127.0.0.1"),
    ],
)
async def test_backend_of_http_is_told_the_client_that_a_proxy_names(
    stage: Stage, header: bytes, client: str
) -> None:
    assert await _forwarded(stage, header) == client


async def test_header_in_segments_of_a_byte_is_read(stage: Stage) -> None:
    client = await stage.client("strict")
    for byte in V1:
        await client.send_all(bytes([byte]))
    client.send(GET)
    peer, request = await stage.backend.received()
    assert request.value("X-Forwarded-For") == "192.0.2.9"
    peer.send(OK)
    assert (await client.answer()).status == 200
    client.send(GET)
    assert (await peer.request()).value("X-Forwarded-For") == "192.0.2.9", "it holds for the connection"
    peer.send(OK)
    assert (await client.answer()).status == 200


async def test_address_that_is_trusted_too_hands_on_what_it_was_told(stage: Stage) -> None:
    told = b"X-Forwarded-For: 203.0.113.5\r\n"
    trusted = b"PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n"
    assert await _forwarded(stage, trusted, fields=told) == "203.0.113.5, 127.0.0.9"
    assert await _forwarded(stage, V1, fields=told) == "192.0.2.9"


async def test_peer_that_is_not_trusted_is_closed_where_a_proxy_is_required(stage: Stage) -> None:
    for listener in ("strict", "tcp"):
        before = await stage.metric("fairlead_connections_refused_total", listener=listener, reason="proxy")
        with contextlib.suppress(ConnectionResetError):
            client = await stage.client(listener, source="127.0.1.1")
            client.send(V1)
            assert await client.is_closed()
        await stage.until("fairlead_connections_refused_total", before + 1, listener=listener, reason="proxy")
    assert stage.backend.connections == 0


async def test_header_of_a_peer_that_is_not_trusted_is_no_header_where_it_is_optional(stage: Stage) -> None:
    client = await stage.client("web", source="127.0.1.1")
    client.send(V1 + GET)
    assert (await client.answer()).status == 400
    assert stage.backend.connections == 0


async def test_proxy_that_says_nothing_is_closed_after_a_while(stage: Stage) -> None:
    for words in (b"", V1[:-1]):
        client = await stage.client("strict")
        client.send(words)
        assert await client.is_closed()


async def test_proxy_that_ends_within_its_header_is_closed_at_once(stage: Stage) -> None:
    client = await stage.client("tcp")
    client.send(V1[:10])
    client.finish()
    assert await client.is_closed()


async def test_every_malformed_header_is_refused(stage: Stage) -> None:
    entries = _entries("malformed.json")
    assert len(entries) >= 100
    for entry in entries:
        for listener in ("web", "tcp"):
            client = await stage.client(listener)
            client.send(bytes.fromhex(entry["hex"]))
            assert await client.is_closed(), entry["name"]
    assert stage.backend.connections == 0


async def test_good_headers_let_everything_behind_them_through(stage: Stage) -> None:
    for entry in _entries("headers.json"):
        client = await stage.client("tcp")
        client.send(bytes.fromhex(entry["hex"]) + b"the client's own")
        client.finish()
        said = await (await stage.backend.accepted()).end()
        assert said.endswith(b"the client's own"), entry["name"]
        assert b"PROXY" not in said, entry["name"]
        assert SIGNATURE not in said, entry["name"]
        await client.closed()


async def test_backend_is_told_the_client_in_version_1(stage: Stage) -> None:
    client = await stage.client("one")
    there = stage.addresses["one"]
    host, _, port = there.rpartition(":")
    expected = f"PROXY TCP4 127.0.0.1 {host} {_port(client)} {port}\r\n".encode()
    # The backend may speak first: the header doesn't wait for the client.
    peer = await stage.backend.accepted()
    assert await peer.read(len(expected)) == expected
    client.send(b"hello")
    assert await peer.read(5) == b"hello"


async def test_backend_is_told_the_client_in_version_2(stage: Stage) -> None:
    client = await stage.client("two")
    client.send(b"hello")
    expected = _v2(f"127.0.0.1:{_port(client)}", stage.addresses["two"])
    assert await (await stage.backend.accepted()).read(len(expected) + 5) == expected + b"hello"


async def test_what_a_proxy_before_us_said_is_passed_on(stage: Stage) -> None:
    tlvs = _tlv(1, b"h2") + _tlv(2, b"a.example") + _tlv(0xE5, b"\x00ours")
    header = _v2("192.0.2.9:40000", "198.51.100.1:443", tlvs)
    client = await stage.client("through")
    client.send(header + b"hello")
    assert await (await stage.backend.accepted()).read(len(header) + 5) == header + b"hello"


async def test_http_backend_is_told_the_client_before_each_request(stage: Stage) -> None:
    client = await stage.client("web-one")
    for _ in range(2):
        client.send(GET)
        peer = await stage.backend.accepted()
        line = await peer.reader.readline()
        assert line.startswith(b"PROXY TCP4 127.0.0.1 ")
        assert int(line.split()[4]) == _port(client)
        assert (await peer.request()).target == "/"
        peer.send(OK)
        assert (await client.answer()).status == 200
        assert await peer.is_closed(), "a connection that was told of one client is no other's"


async def test_http_backend_is_told_what_a_proxy_before_us_said(stage: Stage) -> None:
    header = _v2("192.0.2.9:40000", "198.51.100.1:443", _tlv(5, b"id-1"))
    client = await stage.client("web-two")
    client.send(header + GET)
    peer = await stage.backend.accepted()
    assert await peer.read(len(header)) == header
    request = await peer.request()
    assert request.value("X-Forwarded-For") == "192.0.2.9"
    peer.send(OK)
    assert (await client.answer()).status == 200


async def test_limit_for_a_client_counts_those_that_the_proxy_names(stage: Stage) -> None:
    first = await stage.client("each")
    first.send(V1 + b"a")
    assert await (await stage.backend.accepted()).read(1) == b"a"
    other = await stage.client("each")
    other.send(V1.replace(b"192.0.2.9", b"192.0.2.1") + b"b")
    assert await (await stage.backend.accepted()).read(1) == b"b"
    again = await stage.client("each")
    again.send(V1)
    assert await again.is_closed()


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
async def test_haproxy_before_us_names_the_client(stage: Stage, tmp_path: Path, version: str) -> None:
    async with haproxy(tmp_path, "", f"{stage.addresses['web']} {version}") as address:
        client = await Peer.connect(address, source="127.0.0.77")
        client.send(GET)
        peer, request = await stage.backend.received()
        peer.send(OK)
        assert (await client.answer()).status == 200
        assert request.value("X-Forwarded-For") == "127.0.0.77"
        await client.closed()


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_haproxy_behind_us_believes_us_about_the_client(
    stage: Stage, tmp_path: Path, version: str
) -> None:
    # It passes on what it was told in version 1, which is a line to read.
    async with haproxy(tmp_path, "accept-proxy", f"{stage.backend.address} send-proxy") as address:
        wanted = configuration(tmp_path, address, send_proxy=version)
        wanted["listeners"]["web"]["protocol"] = "tcp"
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            client = await Peer.connect(await fairlead.address(), source="127.0.0.78")
            client.send(b"hello")
            line = await (await stage.backend.accepted()).reader.readline()
            assert line.startswith(f"PROXY TCP4 127.0.0.78 127.0.0.1 {_port(client)} ".encode())
            await client.closed()


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_check_of_a_backend_that_wants_a_header_has_one(
    stage: Stage, tmp_path: Path, version: str
) -> None:
    stage.backend.behaviour = answering(OK)
    async with haproxy(tmp_path, "accept-proxy", stage.backend.address) as address:
        check = {"path": "/health", "timeout": "20s"}
        write(
            tmp_path / "fairlead.json",
            configuration(tmp_path, address, send_proxy=version, health_check=check),
        )
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            # It is ready with the first result.
            (pool,) = (await fairlead.stats())["pools"]
            (backend,) = pool["backends"]
            assert (backend["state"], backend["checks"]["last"]["reason"]) == ("up", "status 200")


async def test_client_of_a_unix_socket_is_told_as_unknown_and_trusted_as_a_proxy(
    stage: Stage, tmp_path: Path
) -> None:
    for version, told in (("v1", b"PROXY UNKNOWN\r\n"), ("v2", SIGNATURE + b"\x21\x00\x00\x00")):
        wanted = configuration(tmp_path, stage.backend.address, send_proxy=version)
        wanted["listeners"] = {
            "plain": {"bind": f"unix:{tmp_path}/plain.sock", "protocol": "tcp", "pool": "app"},
            "proxied": {
                "bind": f"unix:{tmp_path}/proxied.sock",
                "protocol": "tcp",
                "pool": "app",
                "accept_proxy": "required",
            },
        }
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path):
            client = await Peer.connect(f"unix:{tmp_path}/plain.sock")
            assert await (await stage.backend.accepted()).read(len(told)) == told
            proxied = await Peer.connect(f"unix:{tmp_path}/proxied.sock")
            proxied.send(V1)
            expected = V1 if version == "v1" else _v2("192.0.2.9:40000", "198.51.100.1:443")
            assert await (await stage.backend.accepted()).read(len(expected)) == expected
            await client.closed()
            await proxied.closed()
