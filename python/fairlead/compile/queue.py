"""Queues, as the engine reads them."""

from typing import Any

from fairlead.model import Queue

__all__ = ["queue"]


def queue(wanted: Queue | None) -> dict[str, Any] | None:
    """Describe where requests wait; None stands for nowhere."""
    if wanted is None:
        return None
    priority = wanted.priority
    return {
        "size": wanted.size,
        "timeout_ms": wanted.timeout.milliseconds,
        "priority": None if priority is None else priority.removeprefix("header:"),
    }
