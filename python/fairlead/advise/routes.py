"""Hints about routes that no request reaches.

A route never wins if an earlier route with at least its rank takes everything that it takes. Rank is the
order in which routes are tried: priority, then how exact the host is, then the path, then file order.
"""

from collections.abc import Iterator, Sequence

from fairlead.advise.hint import Hint
from fairlead.model import Configuration, PathRegex, Route, RoutesListener

__all__ = ["hints"]

First = dict[tuple[str | None, str | None], dict[int, int]]
"""By host and path (``None`` is any): for each priority the first route that has them."""


def hints(configuration: Configuration) -> Iterator[Hint]:
    """What is said about ``routes``."""
    for name, listener in configuration.listeners.items():
        if isinstance(listener, RoutesListener):
            yield from _unreachable(name, listener.routes)


def _unreachable(listener: str, routes: Sequence[Route]) -> Iterator[Hint]:
    first: First = {}
    for index, route in enumerate(routes):
        for host, path in _conditions(route):
            first.setdefault((host, _key(path)), {}).setdefault(route.priority, index)
    for index, route in enumerate(routes):
        winners = [_winner(first, index, route.priority, host, path) for host, path in _conditions(route)]
        if winners and all(winner is not None for winner in winners):
            named = sorted({winner for winner in winners if winner is not None})
            others = ", ".join(f"routes[{winner}]" for winner in named)
            path_to = ("listeners", listener, "routes", index)
            yield path_to, f"never wins: {others} takes all of its requests"


def _conditions(route: Route) -> Iterator[tuple[str | None, str | PathRegex | None]]:
    for host in route.match.host or (None,):
        for path in route.match.path or (None,):
            yield host, path


def _winner(
    first: First, index: int, priority: int, host: str | None, path: str | PathRegex | None
) -> int | None:
    """A route that takes every request of this host and path, and is tried before the one at ``index``."""
    for wider_host in _wider_hosts(host):
        for wider_path in _wider_paths(path):
            same = wider_host == host and wider_path == _key(path)
            for other_priority, other in first.get((wider_host, wider_path), {}).items():
                if other_priority > priority or (other_priority == priority and same and other < index):
                    return other
    return None


def _wider_hosts(host: str | None) -> Iterator[str | None]:
    yield host
    if host is None:
        return
    labels = host.removeprefix("*.").split(".")
    for start in range(0 if host.startswith("*.") else 1, len(labels)):
        wider = "*." + ".".join(labels[start:])
        if wider != host:
            yield wider
    yield None


def _wider_paths(path: str | PathRegex | None) -> Iterator[str | None]:
    yield _key(path)
    if isinstance(path, str):
        segments = path.removesuffix("/*").split("/")
        for end in range(len(segments), 0, -1):
            wider = "/".join(segments[:end]) + "/*"
            if wider != path:
                yield wider
    if path is not None:
        yield None


def _key(path: str | PathRegex | None) -> str | None:
    # A regex cannot begin like a pattern, whose first character is a slash.
    return f"~{path.regex}" if isinstance(path, PathRegex) else path
