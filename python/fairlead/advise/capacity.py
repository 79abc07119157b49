"""Hints about what processes get of their machine, logs and time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairlead.advise.hint import Hint
from fairlead.model import Configuration, Pool, RoutesListener
from fairlead.model.affinity import LearnAffinity, TableAffinity
from fairlead.units import Size

__all__ = ["Machine", "hints"]

_ENTRY_BYTES = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """Where advice is asked for; what is advised may run on another one."""

    cores: int
    """As many as a process may use."""
    has_user: Callable[[str], bool]


def hints(configuration: Configuration, machine: Machine) -> Iterator[Hint]:
    """What is said about ``runtime``, ``access_log`` and times that contradict each other."""
    runtime = configuration.runtime
    if runtime.workers is not None and runtime.workers > machine.cores:
        message = f"{runtime.workers} workers on {machine.cores} cores take time from each other: write auto"
        yield ("runtime", "workers"), message
    if runtime.user is not None and not machine.has_user(runtime.user):
        message = f'there is no user "{runtime.user}" on this machine: `fairlead run` would refuse it here'
        yield ("runtime", "user"), message
    tables = Size(_ENTRY_BYTES * sum(map(_remembered, configuration.pools.values())))
    if runtime.max_memory is not None and tables >= runtime.max_memory:
        message = (
            f"the pools' affinity tables alone take {tables}: everything would be shed; lower max_entries"
        )
        yield ("runtime", "max_memory"), message
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


def _remembered(pool: Pool) -> int:
    """The most clients that are remembered; room for all of them is made at once."""
    match pool.affinity:
        case LearnAffinity(learn=table) | TableAffinity(table=table):
            return table.max_entries
        case _:
            return 0
