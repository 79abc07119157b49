"""What of a listener's keys means something only with one of its protocols, or with another key.

Looks at the data before the models have accepted it, as ``reference`` does.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from fairlead.config.wording import Finding
from fairlead.errors import Step

__all__ = ["contradictions"]

OF_HTTP = ("body", "write", "idle")
"""Timeouts that wait for parts of HTTP."""

NOT_OF_UDP = {
    "routes": "a udp listener reads no requests to route: write pool",
    "sni": "a udp listener reads no TLS: write pool",
    "http": "a udp listener reads no HTTP",
    "tls": "is for http and tcp: of DTLS nothing is spoken",
    "timeouts": "are about connections: of udp write udp.session_timeout",
    "max_connections": "a udp listener has sessions: write udp.max_sessions",
    "trusted": "is for http and tcp: nothing in a datagram says whose it is",
    "socket": "is for http and tcp: none of it means anything for datagrams",
}
"""Keys that mean nothing where there are neither connections nor requests."""


def contradictions(listeners: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys that would be accepted and mean nothing."""
    for name, listener in listeners.items():
        if isinstance(listener, dict):
            found = _of(listener)
            for path, message, with_key in (*found, *_proxy(listener), *_tls(listener)):
                yield Finding(("listeners", name, *path), message, with_key=with_key)


Found = tuple[tuple[Step, ...], str, bool]


def _of(listener: Mapping[str, Any]) -> Iterator[Found]:
    match listener.get("protocol"):
        case "udp":
            return _of_udp(listener)
        case "tcp":
            return chain(_of_tcp(listener), _not_udp(listener))
        case _:
            return chain(_of_http(listener), _not_udp(listener))


def _of_udp(listener: Mapping[str, Any]) -> Iterator[Found]:
    for key, message in NOT_OF_UDP.items():
        if key in listener:
            yield (key,), message, True
    if listener.get("accept_proxy", "none") != "none":
        yield ("accept_proxy",), "is for http and tcp: nothing comes before a datagram", True
    bind = listener.get("bind")
    for index, each in enumerate(bind if isinstance(bind, list) else [bind]):
        if isinstance(each, str) and each.startswith("unix:"):
            at = ("bind", index) if isinstance(bind, list) else ("bind",)
            yield at, "a udp listener needs an IP address and a port", False


def _not_udp(listener: Mapping[str, Any]) -> Iterator[Found]:
    if "udp" in listener:
        yield ("udp",), "is about datagrams: write protocol: udp beside it", True


def _of_tcp(listener: Mapping[str, Any]) -> Iterator[Found]:
    if "routes" in listener:
        yield ("routes",), "a tcp listener reads no requests to route: write pool, or sni", True
    if "http" in listener:
        yield ("http",), "a tcp listener reads no HTTP", True
    timeouts = listener.get("timeouts")
    for key in OF_HTTP:
        if isinstance(timeouts, dict) and key in timeouts:
            message = "waits for a part of HTTP: in TCP the pool's timeouts.tunnel is the longest gap"
            yield ("timeouts", key), message, True
    if listener.get("accept_proxy") == "optional":
        message = "optional is for http: what a tcp client sends first could be taken for a header"
        yield ("accept_proxy",), message, False


def _of_http(listener: Mapping[str, Any]) -> Iterator[Found]:
    if "sni" in listener:
        yield ("sni",), "distributes TLS that is passed through: write protocol: tcp beside it", True
    sockets = listener.get("socket")
    if isinstance(sockets, dict) and sockets.get("transparent") is True:
        message = "is for tcp: a connection to a backend serves the requests of many clients"
        yield ("socket", "transparent"), message, True


def _tls(listener: Mapping[str, Any]) -> Iterator[Found]:
    timeouts = listener.get("timeouts")
    if "tls" in listener and "sni" in listener:
        yield ("tls",), "terminates TLS, which sni passes through: only one of them may be", True
    elif "tls" not in listener and isinstance(timeouts, dict) and "tls_handshake" in timeouts:
        yield ("timeouts", "tls_handshake"), "is for listeners with tls", True


def _proxy(listener: Mapping[str, Any]) -> Iterator[Found]:
    accept = "none" if listener.get("protocol") == "udp" else listener.get("accept_proxy")
    if not isinstance(accept, str) or accept not in {"optional", "required"} or listener.get("trusted"):
        return
    bind = listener.get("bind")
    binds = bind if isinstance(bind, list) else [bind]
    if not all(isinstance(each, str) and each.startswith("unix:") for each in binds):
        message = f"{accept} needs trusted: the proxies whose word is believed"
        yield ("accept_proxy",), message, False
