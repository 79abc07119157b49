"""By what backends are judged, as the engine reads it."""

from typing import Any

from fairlead.compile.check import check
from fairlead.model import Pool
from fairlead.units import Share

__all__ = ["health"]


def health(pool: Pool, *, stream: bool) -> dict[str, Any]:
    """The keys of a pool that say how its backends are judged."""
    passive = pool.passive_health
    return {
        "health_check": check(pool.health_check, stream=stream),
        "passive_health": None
        if passive is None
        else {
            "error_rate_thousandths": _thousandths(passive.error_rate),
            "consecutive_failures": passive.consecutive_failures,
            "cooldown_ms": passive.cooldown.milliseconds,
            "max_ejected_thousandths": _thousandths(passive.max_ejected),
        },
        "panic_threshold_thousandths": _thousandths(pool.panic_threshold),
        "slow_start_ms": pool.slow_start.milliseconds,
    }


def _thousandths(share: Share) -> int:
    return round(share.fraction * 1000)
