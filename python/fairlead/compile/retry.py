"""Further tries, as the engine reads them."""

from typing import Any

from fairlead.model import Retry

__all__ = ["retry"]


def retry(wanted: Retry | None) -> dict[str, Any] | None:
    """Describe what is tried again; None stands for the engine's own way."""
    if wanted is None:
        return None
    limit = wanted.per_try_timeout
    return {
        "connect_failure": "connect_failure" in wanted.on,
        "reset": "reset" in wanted.on,
        "statuses": sorted({int(each) for each in wanted.on if each.isdigit()}),
        "attempts": wanted.attempts,
        "per_try_timeout_ms": None if limit is None else limit.milliseconds,
        "budget_thousandths": round(wanted.budget.fraction * 1000),
        "backoff_ms": wanted.backoff.milliseconds,
        "methods": wanted.methods,
        "replay_bytes": wanted.replay_size.bytes,
    }
