"""Hints about threads, logs and time."""

from collections.abc import Iterator

from fairlead.advise.hint import Hint
from fairlead.model import Configuration, RoutesListener

__all__ = ["hints"]


def hints(configuration: Configuration, cores: int) -> Iterator[Hint]:
    """What is said about ``runtime``, ``access_log`` and times that contradict each other."""
    workers = configuration.runtime.workers
    if workers is not None and workers > cores:
        message = f"{workers} workers on {cores} cores take time from each other: write auto"
        yield ("runtime", "workers"), message
    if configuration.access_log is None:
        yield (
            ("listeners",),
            "without access_log nothing tells which request failed, and why: write `access_log: {}`",
        )
    for name, listener in configuration.listeners.items():
        for index, route in enumerate(listener.routes if isinstance(listener, RoutesListener) else ()):
            times = route.timeouts
            if times.request is not None and times.request < times.response:
                path = ("listeners", name, "routes", index, "timeouts", "request")
                yield path, f"response ({times.response}) is never reached: request ends everything earlier"
