"""Circuit breakers, as the engine reads them."""

from typing import Any

from fairlead.model import CircuitBreaker

__all__ = ["circuit_breaker"]


def circuit_breaker(wanted: CircuitBreaker | None) -> dict[str, Any] | None:
    """Describe when a backend's breaker opens; None stands for never."""
    if wanted is None:
        return None
    return {
        "error_thousandths": round(wanted.error_rate.fraction * 1000),
        "window_ms": wanted.window.milliseconds,
        "min_requests": wanted.min_requests,
        "open_ms": wanted.open.milliseconds,
    }
