"""The access log: a line for each request, in its format, and nothing that a client can forge a line with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.backend import OK, Backend, Behaviour, answering
from support.peer import Peer
from support.process import Running, configuration, run, write

FIELDS = {
    "time",
    "client",
    "method",
    "path",
    "host",
    "status",
    "duration",
    "request_bytes",
    "response_bytes",
    "listener",
    "route",
    "pool",
    "backend",
    "tries",
    "request_id",
    "reason",
    "blame",
    "user_agent",
    "referer",
}
COMBINED = re.compile(
    r"127\.0\.0\.1 - - \[\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}\] "
    r'"GET /x\?y HTTP/1\.1" 200 2 "-" "probe/1"'
)
REQUEST = b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nUser-Agent: probe/1\r\n\r\n"


class Logged:
    """Fairlead with an access log, asked and stopped; then the log is whole."""

    def __init__(self, directory: Path, log_format: str, **more: object) -> None:
        self.path = directory / "access.log"
        self._directory = directory
        self._log = {"path": str(self.path), "format": log_format, **more}

    async def after(self, *requests: bytes, behaviour: Behaviour | None = None) -> list[str]:
        """Each request on a connection of its own, one after the other; the lines of the log."""
        async with Backend(behaviour or answering(OK)) as backend:
            config = self._directory / "fairlead.json"
            write(config, {**configuration(self._directory, backend.address), "access_log": self._log})
            async with run(config, self._directory) as fairlead:
                for request in requests:
                    await _ask(fairlead, request)
                assert await fairlead.stop() == 0
        return self.path.read_text().splitlines()


async def _ask(fairlead: Running, request: bytes) -> None:
    client = await Peer.connect(await fairlead.address())
    client.send(request)
    client.finish()
    await client.received()
    await client.closed()


async def test_json_has_every_field_of_the_request(tmp_path: Path) -> None:
    (line,) = await Logged(tmp_path, "json").after(REQUEST)
    found: dict[str, Any] = json.loads(line)
    assert found.keys() >= FIELDS
    assert (found["client"], found["method"], found["path"]) == ("127.0.0.1", "GET", "/x?y")
    assert (found["host"], found["status"], found["response_bytes"]) == ("a.example", 200, 2)
    assert (found["listener"], found["pool"], found["tries"], found["user_agent"]) == (
        "web",
        "app",
        1,
        "probe/1",
    )
    assert (found["reason"], found["blame"]) == (None, None)
    assert 0 < found["duration"] < 10


async def test_combined_is_what_apache_writes(tmp_path: Path) -> None:
    (line,) = await Logged(tmp_path, "combined").after(REQUEST)
    assert COMBINED.fullmatch(line), line


async def test_template_has_what_it_names(tmp_path: Path) -> None:
    (line,) = await Logged(tmp_path, "<{client}> {method} {path} {status} {{literal}} {referer}").after(
        REQUEST
    )
    assert line == "<127.0.0.1> GET /x?y 200 {literal} -"


async def test_refused_requests_are_logged_with_reason_and_blame(tmp_path: Path) -> None:
    lines = await Logged(tmp_path, "{status} {blame} {reason}").after(
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
    )
    assert [line.rsplit(" ", maxsplit=line.count(" ") - 1)[0] for line in lines] == [
        "400 client",
        "400 client",
    ]
    assert all(len(line.split()) > 3 for line in lines)


async def test_failing_backend_is_blamed(tmp_path: Path) -> None:
    async def closes(_: Backend, peer: Peer) -> None:
        await peer.request()

    (line,) = await Logged(tmp_path, "{status} {blame}").after(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", behaviour=closes
    )
    assert line == "502 upstream"


@pytest.mark.parametrize("log_format", ["json", "combined", "{path} {user_agent} {referer} {host} {method}"])
async def test_nothing_that_a_client_sends_leaves_its_line_or_field(tmp_path: Path, log_format: str) -> None:
    evil = '"} {"status":200} \\" \\n \x9b2J \u2028 forged'.encode()
    lines = await Logged(tmp_path, log_format).after(
        b"GET /%0a%22?a='\\%22 HTTP/1.1\r\nHost: a\r\n"
        b"User-Agent: " + evil + b"\r\nReferer: \xff\xfe" + evil + b"\r\n\r\n",
        b"GET /a\nforged HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\x1bET / HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    assert len(lines) == 3
    for line in lines:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028]", line), line
        if log_format == "json":
            assert json.loads(line).keys() >= FIELDS
        if log_format == "combined":
            assert len(re.findall(r'(?<!\\)"', line)) == 6, line


async def test_sample_of_nothing_logs_nothing(tmp_path: Path) -> None:
    assert await Logged(tmp_path, "json", sample="0%").after(REQUEST, REQUEST) == []


async def test_session_of_a_tcp_listener_is_a_line_when_it_is_over(tmp_path: Path) -> None:
    async with Backend() as backend:
        config = tmp_path / "fairlead.json"
        path = tmp_path / "access.log"
        wanted = configuration(tmp_path, backend.address)
        wanted["listeners"]["web"]["protocol"] = "tcp"
        write(config, {**wanted, "access_log": {"path": str(path)}})
        async with run(config, tmp_path) as fairlead:
            client = await Peer.connect(await fairlead.address())
            peer = await backend.accepted()
            client.send(b"12345")
            assert await peer.read(5) == b"12345"
            peer.send(b"123")
            assert await client.read(3) == b"123"
            assert not path.exists() or path.read_text() == ""
            client.finish()
            await peer.end()
            peer.finish()
            await client.end()
            await client.closed()
            assert await fairlead.stop() == 0
    (line,) = path.read_text().splitlines()
    found: dict[str, Any] = json.loads(line)
    assert (found["client"], found["backend"], found["tries"]) == ("127.0.0.1", backend.address, 1)
    assert (found["request_bytes"], found["response_bytes"], found["status"]) == (5, 3, 0)
    assert (found["reason"], found["blame"], found["method"]) == ("the client closed", None, None)
    assert found["connect"] > 0
