"""HTTP/2 by prior knowledge, with clients of others: curl, nghttp2, Python's h2, and h2spec's whole suite."""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, TrailersReceived

from support.backend import OK, Backend, answering
from support.peer import Peer
from support.process import run, write
from support.program import installed
from support.stage import Stage

CONFIGURATION = {
    "listeners": {
        "web": {"http": {"versions": ["http1", "http2"]}},
        "only": {"http": {"versions": ["http2"]}},
    }
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


def curl() -> str:
    return installed("curl", "curl")


def h2load() -> str:
    return installed("h2load", "nghttp2-client")


async def done(program: str, *arguments: str, within: float = 60.0) -> tuple[int, str]:
    """Run a program to its end; its code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(within):
        printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def echo(backend: Backend, peer: Peer) -> None:
    """Answer each request with its own body, in chunks and with a trailer."""
    while True:
        request = await peer.request(within=None)
        backend.requests.append(request)
        body = request.body
        peer.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(body))
            + b"0\r\nX-Sum: %s\r\n\r\n" % hashlib.sha256(body).hexdigest().encode()
        )


def _parts(body: bytes) -> list[bytes]:
    return [body[start : start + 10_000] for start in range(0, len(body), 10_000)]


class Client:
    """A connection that Python's h2 speaks on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    @classmethod
    async def connect(cls, address: str) -> "Client":
        host, port = address.split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def flush(self) -> None:
        """Send what h2 has to send."""
        self._writer.write(self.h2.data_to_send())

    async def events(self) -> list[Event]:
        """What comes next; data is acknowledged."""
        async with asyncio.timeout(20):
            data = await self._reader.read(65536)
        assert data, "the connection ended"
        events = self.h2.receive_data(data)
        for event in events:
            if isinstance(event, DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return events

    async def answer(self) -> tuple[dict[str, str], bytes, dict[str, str]]:
        """Head, body and trailers of the only stream."""
        head: dict[str, str] = {}
        trailers: dict[str, str] = {}
        body = b""
        while True:
            for event in await self.events():
                match event:
                    case ResponseReceived(headers=fields):
                        head = {str(name): str(value) for name, value in fields or []}
                    case TrailersReceived(headers=fields):
                        trailers = {str(name): str(value) for name, value in fields or []}
                    case DataReceived(data=data):
                        body += data or b""
                    case StreamEnded():
                        return head, body, trailers
                    case _:
                        pass

    def close(self) -> None:
        self._writer.close()


async def test_curl_gets_what_the_backend_answers(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    url = f"http://{stage.addresses['web']}/a?b"
    for version, said in (("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")):
        code, printed = await done(curl(), "-sS", version, "-w", "\n%{http_version} %{http_code}", url)
        assert (code, printed) == (0, f"ok\n{said} 200")
    request = stage.backend.requests[0]
    assert (request.start, request.value("host")) == (("GET", "/a?b", "HTTP/1.1"), stage.addresses["web"])


async def test_curl_uploads_and_gets_back_what_it_sent(stage: Stage, tmp_path: Path) -> None:
    stage.backend.behaviour = echo
    body = bytes(range(256)) * 8_000
    (tmp_path / "body").write_bytes(body)
    url = f"http://{stage.addresses['web']}/"
    for chunked in ([], ["-H", "Content-Length:"]):
        code, printed = await done(
            curl(),
            *("-sS", "--http2-prior-knowledge", "--data-binary", f"@{tmp_path / 'body'}", *chunked),
            *("-o", str(tmp_path / "back"), "-w", "%{http_code}", url),
        )
        assert (code, printed) == (0, "200")
        assert (tmp_path / "back").read_bytes() == body
    assert [request.framing for request in stage.backend.requests] == ["length", "chunked"]


async def test_h2load_is_answered_on_every_stream_over_reloads(tmp_path: Path) -> None:
    async with Backend(answering(OK)) as backend:
        config = tmp_path / "fairlead.json"
        whole: dict[str, Any] = {
            "runtime": {"directory": str(tmp_path), "workers": 1},
            "listeners": {"web": {"bind": "127.0.0.1:0", "http": {"versions": ["http2"]}, "pool": "app"}},
            "pools": {"app": {"backends": [backend.address]}},
        }
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            load = asyncio.create_task(
                done(h2load(), "-n", "6000", "-c", "4", "-m", "16", f"http://{address}/")
            )
            for version in range(5):
                whole["pools"]["app"]["idle_connections"] = {"max": 100 + version}
                await fairlead.reload(whole)
            code, printed = await load
            assert code == 0
            assert "6000 succeeded, 0 failed, 0 errored" in printed, printed
            assert "6000 2xx" in printed, printed
            status, page = await fairlead.admin("/metrics")
            assert status == 200
            assert 'fairlead_http2_requests_total{listener="web"} 6000' in page


async def test_trailers_go_both_ways(stage: Stage) -> None:
    stage.backend.behaviour = echo
    client = await Client.connect(stage.addresses["web"])
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")]
    client.h2.send_headers(1, [*fields, ("te", "trailers")])
    client.h2.send_data(1, b"hello")
    client.h2.send_headers(1, [("x-mark", "1")], end_stream=True)
    client.flush()
    head, body, trailers = await client.answer()
    client.close()
    assert (head[":status"], body) == ("200", b"hello")
    assert trailers == {"x-sum": hashlib.sha256(b"hello").hexdigest()}
    assert stage.backend.requests[0].trailers == (("x-mark", "1"),)


async def test_the_log_names_the_version(tmp_path: Path) -> None:
    async with Backend(answering(OK)) as backend:
        config = tmp_path / "fairlead.json"
        write(
            config,
            {
                "runtime": {"directory": str(tmp_path), "workers": 1},
                "access_log": {"path": str(tmp_path / "access.log"), "format": "combined"},
                "listeners": {"web": {"bind": "127.0.0.1:0", "http": {"versions": ["http2"]}, "pool": "app"}},
                "pools": {"app": {"backends": [backend.address]}},
            },
        )
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            code, _ = await done(curl(), "-sS", "--http2-prior-knowledge", f"http://{address}/x")
            assert code == 0
            assert await fairlead.stop() == 0
    assert re.search(r'"GET /x HTTP/2\.0" 200 2 ', (tmp_path / "access.log").read_text())


async def test_everything_that_h2spec_asks(stage: Stage) -> None:
    h2spec = installed("h2spec", "golang-go, then tests/install-peers.sh")
    # Long enough for what it asks about windows.
    stage.backend.behaviour = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
    host, port = stage.addresses["only"].split(":")
    code, printed = await done(h2spec, "--strict", "-h", host, "-p", port, "--timeout", "5", within=300)
    assert re.search(r"\b146 tests, 146 passed, 0 skipped, 0 failed", printed), printed
    assert code == 0
