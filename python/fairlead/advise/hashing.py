"""Hints about keys, zones and backups: what is picked by, where it cannot do what it is meant for."""

from collections.abc import Iterator

from fairlead.advise.hint import Hint
from fairlead.model import Configuration, Pool, UnixPath
from fairlead.model.algorithm import ConsistentHash, IpHash, options

__all__ = ["hints"]

FORWARDED = frozenset({"x-forwarded-for", "x-real-ip", "forwarded"})
"""Fields by which proxies say who the client is."""


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about ``pools``."""
    by_socket = _reached_by_sockets(configuration)
    for name, pool in configuration.pools.items():
        for path, message in _pool(pool, by_socket=name in by_socket):
            yield ("pools", name, *path), message
        if configuration.runtime.zone is None and any(backend.zone for backend in pool.backends):
            yield ("pools", name, "backends"), "zones mean nothing without runtime.zone"


def _reached_by_sockets(configuration: Configuration) -> set[str]:
    """The pools whose every client comes by a Unix socket."""
    by_socket: set[str] = set()
    by_address: set[str] = set()
    for listener in configuration.listeners.values():
        only_sockets = all(isinstance(bind.address, UnixPath) for bind in listener.bind)
        (by_socket if only_sockets else by_address).update(listener.pools)
    return by_socket - by_address


def _pool(pool: Pool, *, by_socket: bool) -> Iterator[Hint]:
    if all(backend.backup for backend in pool.backends):
        yield ("backends",), "every backend is a backup: they serve as if none were"
    match options(pool.algorithm):
        case ConsistentHash() as hashing:
            for path, message in _key(hashing, by_socket=by_socket):
                yield ("algorithm", "consistent_hash", path), message
        case IpHash() if by_socket:
            yield ("algorithm",), "clients of a Unix socket have no address: they are spread at random"
        case _:
            pass


def _key(hashing: ConsistentHash, *, by_socket: bool) -> Iterator[tuple[str, str]]:
    if by_socket and hashing.key == ("client",):
        yield "key", "clients of a Unix socket have no address: they are spread at random"
    for part in hashing.key:
        kind, _, name = part.partition(":")
        if kind == "header" and name.lower() in FORWARDED:
            yield (
                "key",
                f"{name} is whatever a client wrote; client is the address that `trusted` proxies vouch for",
            )
    # Clients and sessions are many and alike; of paths, tenants and searches some are far more popular.
    if hashing.bounded_load is None and not any(
        part == "client" or part.startswith("cookie:") for part in hashing.key
    ):
        yield (
            "bounded_load",
            "without it one popular key can overload its backend; 1.25 sends what is too much on",
        )
