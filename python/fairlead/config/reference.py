"""What no key can know by itself: names that lead nowhere, and things that are there twice.

It looks at the data before the models have accepted it, so that no error elsewhere in an object hides these.
"""

from collections.abc import Hashable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from fairlead.config.protocols import contradictions
from fairlead.config.suggestion import suggestion
from fairlead.config.wording import Finding
from fairlead.errors import Step
from fairlead.model import AnyAddress, Bind, IpPort

__all__ = ["references"]


def references(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything that contradicts something else in the data."""
    listeners, pools = _mapping(data.get("listeners")), _mapping(data.get("pools"))
    yield from _pools_of_routes(listeners, pools)
    yield from _binds(listeners, _mapping(data.get("admin")))
    yield from _route_names(listeners)
    yield from contradictions(listeners)
    yield from _certificates(listeners, pools, _mapping(data.get("certificates")))
    yield from _backends(pools)
    yield from _stores(pools, _mapping(data.get("cluster")))
    yield from (Finding((key,), "is empty") for key in ("listeners", "pools") if data.get(key) == {})


def _pools_of_routes(listeners: Mapping[str, Any], pools: Mapping[str, Any]) -> Iterator[Finding]:
    known: dict[str, str] = {}
    for name, listener in listeners.items():
        places: list[tuple[tuple[Step, ...], object]] = [((), listener)]
        places += [(("routes", index), route) for index, route in _routes(listener)]
        named = [((*path, "pool"), _mapping(holder).get("pool")) for path, holder in places]
        named += [(("sni", key), pool) for key, pool in _mapping(_mapping(listener).get("sni")).items()]
        for path, pool in named:
            if isinstance(pool, str) and pool not in pools:
                near = known.setdefault(pool, suggestion(pool, pools))
                yield Finding(("listeners", name, *path), f'unknown pool "{pool}"{near}')


def _binds(listeners: Mapping[str, Any], admin: Mapping[str, Any]) -> Iterator[Finding]:
    taken: dict[Hashable, tuple[str, str]] = {}
    of_udp: dict[Hashable, tuple[str, str]] = {}  # Its ports are others than those of TCP.
    for name, listener in listeners.items():
        fields = _mapping(listener)
        among = of_udp if fields.get("protocol") == "udp" else taken
        yield from _bind(("listeners", name, "bind"), fields.get("bind"), among)
    yield from _bind(("admin", "bind"), admin.get("bind"), taken)


def _bind(path: tuple[Step, ...], bind: object, taken: dict[Hashable, tuple[str, str]]) -> Iterator[Finding]:
    for index, text in enumerate(bind if isinstance(bind, list) else [bind]):
        if not isinstance(text, str):
            continue
        owner = ".".join(str(step) for step in path[:-1])
        claims = list(_claims(text, owner))
        if found := next((taken[claim] for claim in claims if claim in taken), None):
            first, written = found
            message = f'"{text}" is bound twice, first by {first}'
            at = (*path, index) if isinstance(bind, list) else path
            yield Finding(at, message if written == text else f'{message} as "{written}"')
        for claim in claims:
            taken.setdefault(claim, (owner, text))


def _claims(text: str, owner: str) -> Iterator[Hashable]:
    """What a bind has for itself.

    Two sockets could share it, and would share its connections at random. One address beside all of them is
    no such thing, since the kernel prefers it, and a free port is another one for each listener, which finds
    it again by its text.
    """
    try:
        address = Bind.parse(text).address
    except ValueError:  # which its model says
        return
    match address:
        case AnyAddress(port=0) | IpPort(port=0):
            yield owner, text
        case AnyAddress(port=port):
            yield IpPort(IPv4Address(0), port)
            yield IpPort(IPv6Address(0), port)
        case _:
            yield address


def _route_names(listeners: Mapping[str, Any]) -> Iterator[Finding]:
    for name, listener in listeners.items():
        seen: dict[str, int] = {}
        for index, route in _routes(listener):
            text = _mapping(route).get("name")
            if not isinstance(text, str):
                continue
            if text in seen:
                message = f'"{text}" is also the name of routes[{seen[text]}] of this listener'
                yield Finding(("listeners", name, "routes", index, "name"), message)
            seen.setdefault(text, index)


def _certificates(
    listeners: Mapping[str, Any], pools: Mapping[str, Any], certificates: Mapping[str, Any]
) -> Iterator[Finding]:
    for name, pool in pools.items():
        shown = _mapping(_mapping(pool).get("tls")).get("certificate")
        if isinstance(shown, str) and shown not in certificates:
            near = suggestion(shown, certificates)
            yield Finding(("pools", name, "tls", "certificate"), f'unknown certificate "{shown}"{near}')
    for name, listener in listeners.items():
        asked = _mapping(_mapping(listener).get("tls")).get("certificates")
        for index, certificate in enumerate(asked if isinstance(asked, list) else []):
            if isinstance(certificate, str) and certificate not in certificates:
                near = suggestion(certificate, certificates)
                path = ("listeners", name, "tls", "certificates", index)
                yield Finding(path, f'unknown certificate "{certificate}"{near}')


def _backends(pools: Mapping[str, Any]) -> Iterator[Finding]:
    for name, pool in pools.items():
        seen: set[str] = set()
        backends = _mapping(pool).get("backends")
        for index, backend in enumerate(backends if isinstance(backends, list) else []):
            fields = _mapping(backend)
            identity = backend if isinstance(backend, str) else fields.get("name", fields.get("address"))
            if not isinstance(identity, str):
                continue
            if identity in seen:
                message = f'"{identity}" is in this pool twice; a name would tell them apart'
                yield Finding(("pools", name, "backends", index), message)
            seen.add(identity)


def _stores(pools: Mapping[str, Any], cluster: Mapping[str, Any]) -> Iterator[Finding]:
    if "redis" in cluster or "redis_file" in cluster:
        return
    for name, pool in pools.items():
        table = _mapping(_mapping(_mapping(pool).get("affinity")).get("table"))
        if table.get("store") == "redis":
            yield Finding(("pools", name, "affinity", "table", "store"), "needs cluster.redis, its address")


def _routes(listener: object) -> Iterator[tuple[int, object]]:
    routes = _mapping(listener).get("routes")
    return enumerate(routes if isinstance(routes, list) else [])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
