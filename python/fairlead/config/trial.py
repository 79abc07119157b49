"""What is left of a faulty configuration: what of it is valid, for the engine to judge as well.

Of an object with an error only the faulty part goes, where it can be without: an optional key, for which the
default stands in, a backend, a name, a route. An object that can't goes whole, and so does what refers to it.
So the errors that only the engine finds come in the same list as the loader's.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairlead.errors import Step

__all__ = ["Trial", "prune"]

_NEEDED = {
    "listeners": frozenset({"bind", "protocol", "pool", "routes", "sni"}),
    "pools": frozenset({"backends"}),
}
"""Keys without which an object is none, or another."""

_PARTS = {"listeners": frozenset({"routes", "sni"}), "pools": frozenset({"backends"})}
"""Keys whose parts can go one by one."""

Path = tuple[Step, ...]


class Trial:
    """Data without what is faulty, and how its lists count in the file."""

    def __init__(self, data: Mapping[str, Any], dropped: set[Path]) -> None:
        self.kept: dict[Path, list[int]] = {}
        """The path of a list to the index in the file of each item that is left, where some are not."""
        leading = {path[:length] for path in dropped for length in range(len(path))}
        self.data: dict[str, Any] = self._without((), data, dropped, leading)

    def original(self, path: Path) -> Path:
        """A path in the pruned data as one in the file."""
        for place, step in enumerate(path):
            kept = self.kept.get(path[:place])
            if kept is not None and isinstance(step, int) and step < len(kept):
                return (*path[:place], kept[step], *path[place + 1 :])
        return path

    def _without(self, path: Path, value: Any, dropped: set[Path], leading: set[Path]) -> Any:  # noqa: ANN401 - any of a file's
        if path not in leading:
            return value
        if isinstance(value, list):
            left = [index for index in range(len(value)) if (*path, index) not in dropped]
            if len(left) < len(value):
                self.kept[path] = left
            return [self._without((*path, index), value[index], dropped, leading) for index in left]
        if isinstance(value, Mapping):
            return {
                key: self._without((*path, key), each, dropped, leading)
                for key, each in value.items()
                if (*path, key) not in dropped
            }
        return value


def prune(data: Mapping[str, Any], faulty: Iterable[Path], *, whole: bool = False) -> Trial | None:
    """Leave out what each path leads to, and what refers to it; ``None`` if nothing is left.

    With ``whole`` an object goes for an error in any of its parts but a route.
    """
    dropped = {_dropped(path, whole=whole) for path in faulty if path}
    pools = _left(data, "pools", dropped)
    dropped |= {("pools", name) for name, pool in pools.items() if not _has_backends(name, pool, dropped)}
    pools = _left(data, "pools", dropped)
    for name, listener in _left(data, "listeners", dropped).items():
        dropped |= set(_lost(name, listener, pools, dropped))
    if not pools or not _left(data, "listeners", dropped):
        return None
    return Trial(data, dropped)


def _dropped(path: Path, *, whole: bool) -> Path:
    """What goes because of an error at this path."""
    match path:
        case ("listeners", _, "routes", int(), *_):
            length = 4
        case ("listeners" | "pools", *_) if whole:
            length = 2
        case ("listeners" | "pools" as section, _, str(key), _, *_) if key in _PARTS[section]:
            length = 4
        case ("listeners" | "pools" as section, _, str(key), *_) if key not in _NEEDED[section]:
            length = 3
        case ("listeners" | "pools", *_):
            length = 2
        case _:
            length = 1 if whole else 2
    return path[:length]


def _left(data: Mapping[str, Any], section: str, dropped: set[Path]) -> dict[str, Mapping[str, Any]]:
    things = data.get(section)
    if not isinstance(things, dict):
        return {}
    return {
        name: each
        for name, each in things.items()
        if (section, name) not in dropped and isinstance(each, Mapping)
    }


def _has_backends(name: str, pool: Mapping[str, Any], dropped: set[Path]) -> bool:
    backends = pool.get("backends")
    if not isinstance(backends, list) or not backends:
        return True
    return any(("pools", name, "backends", index) not in dropped for index in range(len(backends)))


def _lost(
    name: str, listener: Mapping[str, Any], pools: Mapping[str, Any], dropped: set[Path]
) -> Iterator[Path]:
    """What of a listener leads nowhere; all of it, if nothing is left."""
    leads: dict[Path, object] = {}
    if "sni" in listener:
        leads = {("listeners", name, "sni", each): pool for each, pool in listener["sni"].items()}
    elif "routes" in listener:
        leads = {
            ("listeners", name, "routes", index): route.get("pool") if isinstance(route, Mapping) else None
            for index, route in enumerate(listener["routes"])
        }
    else:
        leads = {("listeners", name, "pool"): listener.get("pool")}
    lost = [path for path, pool in leads.items() if not isinstance(pool, str) or pool not in pools]
    if {*lost, *(path for path in leads if path in dropped)} == leads.keys():
        yield ("listeners", name)
    yield from lost
