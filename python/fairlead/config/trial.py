"""What is left of a faulty configuration: its valid objects, for the engine to judge as well.

A listener, route or pool with an error goes, and so does what refers to it; of other sections the defaults
stand in. So the errors that only the engine finds come in the same list as the loader's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fairlead.errors import Step

__all__ = ["Trial", "prune"]


class Trial:
    """Data without its faulty objects, and how its lists count in the file."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.routes: dict[str, list[int]] = {}
        """A listener's name to the index in the file of each route that is left, where some are not."""

    def original(self, path: tuple[Step, ...]) -> tuple[Step, ...]:
        """A path in the pruned data as one in the file."""
        match path:
            case ("listeners", str(name), "routes", int(index), *rest) if name in self.routes:
                kept = self.routes[name]
                if index < len(kept):
                    return ("listeners", name, "routes", kept[index], *rest)
        return path


def prune(data: Mapping[str, Any], faulty: Iterable[tuple[Step, ...]]) -> Trial | None:
    """Leave out every object that a path leads to, and what refers to it; ``None`` if nothing is left."""
    dropped: set[tuple[Step, ...]] = set()
    for path in faulty:
        match path:
            case ():
                continue
            case ("listeners", name, "routes", int(index), *_):
                dropped.add(("listeners", name, "routes", index))
            case ("listeners" | "pools" as section, name, *_):
                dropped.add((section, name))
            case (section, *_):
                dropped.add((section,))
    pools = _named(data, "pools", dropped)
    trial = Trial({key: value for key, value in data.items() if (key,) not in dropped})
    listeners = {}
    for name, listener in _named(data, "listeners", dropped).items():
        left = _listener(name, listener, pools, dropped, trial)
        if left is not None:
            listeners[name] = left
    if not listeners or not pools:
        return None
    trial.data |= {"listeners": listeners, "pools": pools}
    return trial


def _named(data: Mapping[str, Any], section: str, dropped: set[tuple[Step, ...]]) -> dict[str, Any]:
    things = data.get(section)
    if not isinstance(things, dict):
        return {}
    return {name: each for name, each in things.items() if (section, name) not in dropped}


def _listener(
    name: str,
    listener: dict[str, Any],
    pools: Mapping[str, Any],
    dropped: set[tuple[Step, ...]],
    trial: Trial,
) -> dict[str, Any] | None:
    if "sni" in listener:
        names = {each: pool for each, pool in listener["sni"].items() if pool in pools}
        return {**listener, "sni": names} if names else None
    if "routes" not in listener:
        return listener if listener.get("pool") in pools else None
    routes = listener["routes"]
    kept = [
        index
        for index, route in enumerate(routes)
        if ("listeners", name, "routes", index) not in dropped and route.get("pool") in pools
    ]
    if len(kept) == len(routes):
        return listener
    trial.routes[name] = kept
    return {**listener, "routes": [routes[index] for index in kept]} if kept else None
