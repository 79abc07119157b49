"""TLS towards backends: who is taken for one, what is said where nobody is, what a broken one comes to."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from support.peer import Peer
from support.process import Running, configuration, run, write

GET = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[Peer, ssl.SSLObject], Awaitable[None]]


def _context(directory: Path, authority: Authority, *names: str, **options: Any) -> ssl.SSLContext:  # noqa: ANN401
    files = authority.write(directory, f"backend-{'-'.join(names)}", *names, **options)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert_file"], files["key_file"])
    return context


def _ca(directory: Path, authority: Authority) -> str:
    authority.ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    return str(directory / "ca.pem")


@contextlib.asynccontextmanager
async def _backend(context: ssl.SSLContext | None, handler: Handler) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await handler(Peer(reader, writer), writer.get_extra_info("ssl_object"))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _answers(peer: Peer, _: ssl.SSLObject) -> None:
    while True:
        await peer.request(within=None)
        peer.send(OK)


async def _ask(address: str) -> tuple[int, str, bytes]:
    client = await Peer.connect(address)
    client.send(GET)
    answer = await client.answer()
    await client.closed()
    told = {name.lower(): value for name, value in answer.fields}
    return answer.status, told.get("proxy-status", ""), answer.body


async def _metric(fairlead: Running, sample: str) -> float:
    _, page = await fairlead.admin("/metrics")
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(sample))


async def test_requests_share_an_encrypted_connection_to_a_backend_that_is_known(tmp_path: Path) -> None:
    authority = Authority()
    context = _context(tmp_path, authority, "app.internal")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    met: list[ssl.SSLObject] = []
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def handler(peer: Peer, tls: ssl.SSLObject) -> None:
        met.append(tls)
        await _answers(peer, tls)

    async with _backend(context, handler) as address:
        whole = configuration(tmp_path, address)
        whole["certificates"] = {"us": authority.write(tmp_path, "us", "fairlead.test")}
        whole["pools"]["app"]["tls"] = {
            "ca_file": _ca(tmp_path, authority),
            "server_name": "app.internal",
            "certificate": "us",
        }
        whole["runtime"]["workers"] = 1
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            front = await fairlead.address()
            for _ in range(5):
                # The tickets that come after a handshake of TLS 1.3 are no answer and no end.
                assert await _ask(front) == (200, "", b"ok")
            (tls,) = met
            assert asked == ["app.internal"]
            assert tls.version() == "TLSv1.3"
            assert ("DNS", "fairlead.test") in (tls.getpeercert() or {})["subjectAltName"]
            assert await _metric(fairlead, "fairlead_backend_tls_handshakes_total") == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_next_handshake_with_a_backend_is_shorter(tmp_path: Path, version: ssl.TLSVersion) -> None:
    authority = Authority()
    context = _context(tmp_path, authority, "127.0.0.1")
    context.maximum_version = version
    reused: list[bool | None] = []

    async def handler(peer: Peer, tls: ssl.SSLObject) -> None:
        reused.append(tls.session_reused)
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with _backend(context, handler) as address:
        whole = configuration(tmp_path, address)
        whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, authority)}
        whole["runtime"]["workers"] = 1
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            front = await fairlead.address()
            for _ in range(3):
                assert (await _ask(front))[0] == 200
            assert reused == [False, True, True]


async def test_who_is_not_the_backend_gets_nothing_and_it_is_said_why(tmp_path: Path) -> None:
    authority, stranger = Authority(), Authority()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    seen: list[ssl.SSLObject] = []
    for context, reason, error in [
        (
            _context(tmp_path, stranger, "127.0.0.1"),
            "signed by nobody who",
            "tls_certificate_error",
        ),
        (_context(tmp_path, authority, "else.test"), "is for another name", "tls_certificate_error"),
        (
            _context(tmp_path, authority, "127.0.0.1", not_after=past),
            "has expired",
            "tls_certificate_error",
        ),
        (None, "speaks no TLS", "tls_protocol_error"),
    ]:

        async def handler(peer: Peer, tls: ssl.SSLObject | None) -> None:
            if tls is None:
                peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                await peer.end()
            else:
                seen.append(tls)

        async with _backend(context, handler) as address:
            whole = configuration(tmp_path, address)
            whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, authority)}
            config = tmp_path / "fairlead.json"
            write(config, whole)
            async with run(config, tmp_path) as fairlead:
                status, told, body = await _ask(await fairlead.address())
                assert status == 502
                assert error in told
                assert reason in body.decode(), body
                assert "backend tls failed" in await fairlead.said("backend tls failed")
                assert not seen, "it saw a connection that it could read"


async def test_a_backend_that_breaks_the_handshake_is_one_that_cannot_be_connected_to(tmp_path: Path) -> None:
    authority = Authority()

    async def closes(peer: Peer, _: ssl.SSLObject) -> None:
        await peer.read(100)

    async def babbles(peer: Peer, _: ssl.SSLObject) -> None:
        peer.send(b"\x16\x03\x03\x00\x10" + b"\xff" * 16)
        await peer.end()

    async def is_silent(peer: Peer, _: ssl.SSLObject) -> None:
        await peer.end()

    for handler, expected, reason in [
        (closes, 502, "closed the connection in the TLS handshake"),
        (babbles, 502, "malformed"),
        (is_silent, 504, "handshake with the backend was not made in time"),
    ]:
        async with (
            _backend(None, handler) as broken,
            _backend(_context(tmp_path, authority, "127.0.0.1"), _answers) as good,
        ):
            whole = configuration(tmp_path, broken)
            whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, authority)}
            whole["pools"]["app"]["timeouts"] = {"connect": "500ms"}
            config = tmp_path / "fairlead.json"
            write(config, whole)
            async with run(config, tmp_path) as fairlead:
                front = await fairlead.address()
                status, _, body = await _ask(front)
                assert (status, reason in body.decode()) == (expected, True), body
                whole["pools"]["app"]["backends"] = [broken, good]
                await fairlead.reload(whole)
                for _ in range(4):
                    assert (await _ask(front))[0] == 200, "another one is asked"


async def test_a_body_that_is_cut_off_is_never_whole(tmp_path: Path) -> None:
    authority = Authority()
    endings: list[bool] = []

    async def handler(peer: Peer, _: ssl.SSLObject) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await peer.writer.drain()
        if endings[-1]:
            peer.close()
            await peer.writer.wait_closed()
        else:
            # The socket's own end, without the alert.
            transport: Any = peer.writer.transport
            transport._ssl_protocol._transport.close()  # noqa: SLF001

    async with _backend(_context(tmp_path, authority, "127.0.0.1"), handler) as address:
        whole = configuration(tmp_path, address)
        whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, authority)}
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            front = await fairlead.address()
            for said in (True, False):
                endings.append(said)
                client = await Peer.connect(front)
                client.send(GET)
                answer = await client.answer()
                assert (answer.body, answer.complete) == (b"half", said)
                client.close()


async def test_tcp_sessions_are_encrypted_towards_their_backend(tmp_path: Path) -> None:
    authority = Authority()

    async def echo(peer: Peer, _: ssl.SSLObject) -> None:
        while received := await peer.reader.read(65536):
            peer.send(received)
            await peer.writer.drain()

    async with _backend(_context(tmp_path, authority, "127.0.0.1"), echo) as address:
        whole = configuration(tmp_path, address)
        whole["certificates"] = {"site": authority.write(tmp_path, "site", "web.test")}
        whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, authority)}
        whole["listeners"]["web"]["protocol"] = "tcp"
        whole["listeners"]["secure"] = {
            "bind": "127.0.0.1:0",
            "protocol": "tcp",
            "pool": "app",
            "tls": {"certificates": ["site"]},
        }
        config = tmp_path / "fairlead.json"
        write(config, whole)
        sent = bytes(range(256)) * 4_000
        async with run(config, tmp_path) as fairlead:
            for listener, tls in (("web", None), ("secure", authority.context())):
                client = await Peer.connect(await fairlead.address(listener), tls=tls)
                sending = asyncio.create_task(client.send_all(sent))
                assert await client.read(len(sent)) == sent
                await sending
                await client.closed()


@pytest.mark.parametrize("check", [{"path": "/health"}, {"type": "tls"}])
async def test_checks_look_at_the_certificate(tmp_path: Path, check: dict[str, str]) -> None:
    authority, stranger = Authority(), Authority()
    async with (
        _backend(_context(tmp_path, authority, "127.0.0.1"), _answers) as good,
        _backend(_context(tmp_path, stranger, "127.0.0.1"), _answers) as bad,
    ):
        whole = configuration(tmp_path, good, bad)
        whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, authority)}
        whole["pools"]["app"]["health_check"] = check
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            (pool,) = (await fairlead.stats())["pools"]
            states = {each["id"]: each["state"] for each in pool["backends"]}
            assert states == {good: "up", bad: "down"}
            reasons = {each["id"]: each["checks"]["last"]["reason"] for each in pool["backends"]}
            assert reasons[bad] == "its certificate is signed by nobody who is trusted here"


async def test_new_connections_are_made_by_renewed_authorities(tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    async with _backend(_context(tmp_path, new, "127.0.0.1"), _answers) as address:
        whole = configuration(tmp_path, address)
        whole["pools"]["app"]["tls"] = {"ca_file": _ca(tmp_path, old)}
        whole["pools"]["app"]["passive_health"] = "off"
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            front = await fairlead.address()
            assert (await _ask(front))[0] == 502
            _ca(tmp_path, new)
            await fairlead.said("certificates renewed")
            assert (await _ask(front))[0] == 200
