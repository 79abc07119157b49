"""Speaks to a running Fairlead: one request, one answer, over its socket or over TCP."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from fairlead.admin.access import VIA
from fairlead.errors import FairleadError
from fairlead.model.status import BackendDetail, Operated, ReloadResult, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS = "FAIRLEAD_ADMIN"
TOKEN = "FAIRLEAD_TOKEN"  # noqa: S105 - the name of a variable

_SOCKETS = ("admin.sock", "control.sock")
"""The engine's, then control's own: while the engine is being restarted only that answers."""

_SECONDS = 10.0
_RELOAD_SECONDS = 120.0


class NotRunning(FairleadError):  # noqa: N818 - the condition is its name
    """Nobody answers where Fairlead was looked for."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """The API at one address: a socket's path, a directory that has one, ``HOST:PORT`` or a URL."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address
        self._token = token

    def status(self) -> Status:
        """The whole state."""
        return Status.model_validate(self.request("GET", "/status"))

    def reload(self) -> ReloadResult:
        """Have the configuration read again, and wait for what comes of it."""
        return ReloadResult.model_validate(self.request("POST", "/config/reload", seconds=_RELOAD_SECONDS))

    def operate(self, pool: str, backend: str, verb: str, body: object = None) -> Operated:
        """Have something done to a backend; raises `FairleadError` if there is none of that name."""
        return Operated.model_validate(self.request("POST", f"{_place(pool, backend)}/{verb}", body))

    def backend(self, pool: str, backend: str) -> BackendDetail:
        """Everything that is known of one backend; raises as above."""
        return BackendDetail.model_validate(self.request("GET", _place(pool, backend)))

    def request(self, method: str, path: str, body: object = None, *, seconds: float = _SECONDS) -> Any:  # noqa: ANN401 - JSON
        """The JSON of an answer; raises `NotRunning` if nobody is there and `FairleadError` if refused."""
        reasons = []
        for connection in self._connections(seconds):
            try:
                return self._ask(connection, method, path, body)
            except (OSError, http.client.HTTPException) as error:
                reasons.append(str(error) or type(error).__name__)
            finally:
                connection.close()
        message = f"nothing answers at {self.address} ({'; '.join(dict.fromkeys(reasons))})"
        raise NotRunning(message)

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: object) -> Any:  # noqa: ANN401
        headers = {"Accept": "application/json"}
        if isinstance(connection, _UnixConnection):
            headers[VIA] = "socket"
        elif self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body)
        connection.request(method, f"/api/v1{path}", content, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == http.client.SERVICE_UNAVAILABLE:
            # The engine serves, but no control process is behind it.
            raise FairleadError(_reason(text) or "the control process is away")
        if answer.status != http.client.OK:
            message = f"{self.address} answers {answer.status}: {_reason(text) or answer.reason}"
            raise FairleadError(message)
        return json.loads(text)

    def _connections(self, seconds: float) -> Sequence[http.client.HTTPConnection]:
        path = Path(self.address.removeprefix("unix:"))
        if path.is_dir():
            return [_UnixConnection(path / name, seconds) for name in _SOCKETS]
        if "/" in self.address and "://" not in self.address:
            return [_UnixConnection(path, seconds)]
        url = urlsplit(self.address if "://" in self.address else f"//{self.address}")
        if url.scheme not in {"", "http"} or not url.hostname:
            message = (
                f"{self.address!r} is no address of an admin API: a socket's path, HOST:PORT or http://…"
            )
            raise FairleadError(message)
        return [http.client.HTTPConnection(url.hostname, url.port or 80, timeout=seconds)]


def find(address: str | None, directories: Sequence[Path]) -> Client:
    """The instance that was named, else by the environment, else in the first directory that has one."""
    token = os.environ.get(TOKEN)
    named = address or os.environ.get(ADDRESS)
    if named:
        return Client(named, token)
    for directory in directories:
        if any((directory / name).exists() for name in _SOCKETS):
            return Client(str(directory), token)
    places = " or ".join(str(directory) for directory in directories)
    message = (
        f"no Fairlead runs here: there is no admin.sock in {places}. Start one with `fairlead run FILE`, "
        f"or say where it is with --admin (its directory, a socket's path or HOST:PORT) or {ADDRESS}"
    )
    raise NotRunning(message)


def _place(pool: str, backend: str) -> str:
    return f"/pools/{quote(pool, safe='')}/backends/{quote(backend, safe='/:@[]')}"


def _reason(body: bytes) -> str | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document.get("error") if isinstance(document, dict) else None
