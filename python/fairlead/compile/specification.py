"""From the model to the description of a Plan that the engine executes.

Here defaults that depend on other keys are settled and units become numbers; the result says everything and
leaves nothing to the engine's judgement. Its shape is that of ``fairlead_plan::spec`` in Rust, key for key.
"""

from collections.abc import Mapping
from typing import Any

from fairlead.compile.affinity import affinity
from fairlead.compile.algorithm import algorithm
from fairlead.compile.breaker import circuit_breaker
from fairlead.compile.check import stream_pools
from fairlead.compile.health import health
from fairlead.compile.hedge import hedge
from fairlead.compile.membership import backends
from fairlead.compile.queue import queue
from fairlead.compile.retry import retry
from fairlead.model import (
    AccessLog,
    AnyAddress,
    Bind,
    Configuration,
    HostPort,
    HttpOptions,
    Listener,
    ListenerTimeouts,
    ListenerTls,
    Match,
    PathRegex,
    Pool,
    PoolListener,
    PoolTls,
    RequestOptions,
    Route,
    RouteTimeouts,
    SniListener,
    Socket,
    UdpOptions,
    UnixPath,
)
from fairlead.units import Duration, Size

__all__ = ["Json", "bind_address", "pool_spec", "spec"]

Json = dict[str, Any]


def spec(
    configuration: Configuration,
    *,
    version: int,
    bound_hints: Mapping[str, int] | None = None,
    max_memory: int | None = None,
) -> Json:
    """Describe the Plan of a configuration.

    Args:
        configuration: What is wanted.
        version: Counts the accepted configurations of one control process' life.
        bound_hints: Bind text to the port it had before, for binds that take a free port (``:0``).
        max_memory: Bytes to use where ``runtime.max_memory`` says nothing.
    """
    memory = configuration.runtime.max_memory
    hints = bound_hints or {}
    streams = stream_pools(configuration)
    return {
        "version": version,
        "max_memory_bytes": memory.bytes if memory else max_memory,
        "zone": configuration.runtime.zone,
        "drain_timeout_ms": configuration.runtime.drain_timeout.milliseconds,
        "access_log": _access_log(configuration.access_log),
        "listeners": [_listener(name, each, hints) for name, each in configuration.listeners.items()],
        "pools": [_pool(name, each, stream=name in streams) for name, each in configuration.pools.items()],
    }


def bind_address(bind: Bind) -> Json:
    """The address of a bind, as the engine reads it."""
    address = bind.address
    if isinstance(address, AnyAddress):
        return {"any": {"port": address.port}}
    if isinstance(address, UnixPath):
        return {"unix": {"path": address.path}}
    return {"ip": {"address": str(address)}}


def _access_log(log: AccessLog | None) -> Json | None:
    if log is None:
        return None
    return {
        "path": None if log.path == "stdout" else log.path,
        "format": log.format if log.format in {"json", "combined"} else {"template": log.format},
        "sample": log.sample.fraction,
    }


def _listener(name: str, listener: Listener, hints: Mapping[str, int]) -> Json:
    return {
        "name": name,
        "protocol": _protocol(listener),
        "binds": [_bind(each, hints) for each in listener.bind],
        "socket": _socket(listener.socket),
        "tls": _tls(listener.tls),
        "http": _http(listener.http),
        "trusted": list(listener.trusted),
        "accept_proxy": listener.accept_proxy,
        "max_connections": listener.max_connections,
        "max_connections_per_client": listener.max_connections_per_client,
        "timeouts": _listener_timeouts(listener.timeouts),
        "routes": _routes(listener),
    }


def _protocol(listener: Listener) -> str | Json:
    match listener.protocol:
        case "udp":
            return {"udp": _udp(listener.udp)}
        case "tcp":
            return {"tcp": {"sni": isinstance(listener, SniListener)}}
        case _:
            return "http"


def _udp(udp: UdpOptions) -> Json:
    return {
        "session_timeout_ms": udp.session_timeout.milliseconds,
        "max_sessions": udp.max_sessions,
        "responses": udp.responses,
    }


def _routes(listener: Listener) -> list[Json]:
    # One pool is one route that matches everything, and a name is one that matches its host, so the engine
    # knows a single way.
    if isinstance(listener, PoolListener):
        return [_route(Route(pool=listener.pool))]
    if isinstance(listener, SniListener):
        return [_named(name, pool) for name, pool in listener.sni.items()]
    return [_route(each) for each in listener.routes]


def _named(name: str, pool: str) -> Json:
    host = () if name == "*" else (name,)
    return {**_route(Route(match=Match(host=host), pool=pool)), "name": name}


def _bind(bind: Bind, hints: Mapping[str, int]) -> Json:
    # A path has no port; a port that is given is taken as given.
    free = not isinstance(bind.address, UnixPath) and bind.address.port == 0
    return {
        "text": bind.text,
        "address": bind_address(bind),
        "port_hint": hints.get(bind.text) if free else None,
    }


def _socket(socket: Socket) -> Json:
    return {
        "backlog": socket.backlog,
        "fast_open": socket.fast_open,
        "keepalive_ms": _milliseconds(socket.keepalive),
        "mode": socket.mode,
        "transparent": socket.transparent,
    }


def _tls(tls: ListenerTls | None) -> Json | None:
    if tls is None:
        return None
    return {"certificates": list(tls.certificates), "min_version": tls.min_version}


def _http(http: HttpOptions) -> Json:
    return {
        "versions": list(http.versions),
        "max_header_bytes": http.max_header_size.bytes,
        "max_headers": http.max_headers,
        "max_body_bytes": _bytes(http.max_body_size),
        "encoded_slashes": http.encoded_slashes,
        "via": http.via,
        "abort_on_close": http.abort_on_close,
    }


def _listener_timeouts(timeouts: ListenerTimeouts) -> Json:
    return {
        "tls_handshake_ms": timeouts.tls_handshake.milliseconds,
        "header_ms": timeouts.header.milliseconds,
        "body_ms": timeouts.body.milliseconds,
        "write_ms": timeouts.write.milliseconds,
        "idle_ms": timeouts.idle.milliseconds,
    }


def _route(route: Route) -> Json:
    return {
        "name": route.name,
        "match": _match(route.match),
        "priority": route.priority,
        "pool": route.pool,
        "request": _request(route.request),
        "max_body_bytes": _bytes(route.max_body_size),
        "access_log": route.access_log,
        "timeouts": _route_timeouts(route.timeouts),
        "retry": retry(route.retry),
        "hedge": hedge(route.hedge),
    }


def _match(match: Match) -> Json:
    return {
        "hosts": list(match.host),
        "paths": [
            {"regex": each.regex} if isinstance(each, PathRegex) else {"pattern": each} for each in match.path
        ],
    }


def _request(request: RequestOptions) -> Json:
    return {"id": request.id, "forwarded": request.forwarded.replace("-", "_")}


def _route_timeouts(timeouts: RouteTimeouts) -> Json:
    return {
        "request_ms": _milliseconds(timeouts.request),
        "response_ms": timeouts.response.milliseconds,
        "stream_idle_ms": timeouts.stream_idle.milliseconds,
    }


def pool_spec(pool: Pool, *, zone: str | None = None) -> Json:
    """Describe a pool that no listener leads to, for a program that picks by itself."""
    return {
        "version": 0,
        "max_memory_bytes": None,
        "zone": zone,
        "drain_timeout_ms": 0,
        "access_log": None,
        "listeners": [],
        "pools": [_pool("pool", pool, stream=False)],
    }


def _pool(name: str, pool: Pool, *, stream: bool) -> Json:
    return {
        "name": name,
        "algorithm": algorithm(pool.algorithm),
        "backends": backends(pool),
        "resolved": any(isinstance(each.address.target, HostPort) for each in pool.backends),
        "drain_ms": pool.drain.milliseconds,
        "idle_connections": {
            "max": pool.idle_connections.max,
            "timeout_ms": pool.idle_connections.timeout.milliseconds,
            "max_uses": pool.idle_connections.max_uses,
        },
        "timeouts": {
            "connect_ms": pool.timeouts.connect.milliseconds,
            "tunnel_ms": pool.timeouts.tunnel.milliseconds,
        },
        "circuit_breaker": circuit_breaker(pool.circuit_breaker),
        "queue": queue(pool.queue),
        "affinity": affinity(pool.affinity),
        "send_proxy": None if pool.send_proxy == "none" else pool.send_proxy,
        "tls": _pool_tls(pool.tls, stream=stream),
        **health(pool, stream=stream),
    }


def _pool_tls(tls: PoolTls | None, *, stream: bool) -> Json | None:
    if tls is None:
        return None
    return {
        "server_name": tls.server_name,
        "certificate": tls.certificate,
        "verify": tls.verify,
        "own_authorities": tls.ca is not None,
        "min_version": tls.min_version,
        # What is relayed without being read has protocols of its own.
        "alpn": [] if stream else ["http/1.1"],
    }


def _milliseconds(duration: Duration | None) -> int | None:
    return None if duration is None else duration.milliseconds


def _bytes(size: Size | None) -> int | None:
    return None if size is None else size.bytes
