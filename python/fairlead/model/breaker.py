"""When a backend that mostly fails gets nothing for a while."""

from typing import Annotated

from pydantic import AfterValidator, Field

from fairlead.model.definition import Definition
from fairlead.model.value import Integer, Timeout, refuse
from fairlead.units import Duration, Share

__all__ = ["CircuitBreaker"]

_SHORTEST_WINDOW = Duration(100)


def _rate(value: Share) -> Share:
    if round(value.fraction * 1000) == 0:
        message = f"{value} is out of range: 0.1% to 100%"
        raise refuse(message)
    return value


def _window(value: Duration) -> Duration:
    if value < _SHORTEST_WINDOW:
        message = f"{value} is out of range: {_SHORTEST_WINDOW} or more"
        raise refuse(message)
    return value


class CircuitBreaker(Definition):
    """When a backend's breaker opens. Errors are answers of 500 and above, and requests without an answer."""

    error_rate: Annotated[
        Share, AfterValidator(_rate), Field(description="The share of errors at which it opens.")
    ] = Share(0.5)
    window: Annotated[
        Timeout, AfterValidator(_window), Field(description="How far errors are looked back for.")
    ] = Duration(10_000)
    min_requests: Annotated[
        Integer, Field(description="With fewer requests in the window it stays closed.", ge=1, le=1_000_000)
    ] = 20
    open: Annotated[
        Timeout,
        Field(
            description="How long the backend gets nothing; then one request at a time, until one is well."
        ),
    ] = Duration(5_000)
