"""How backends are judged by their traffic."""

from typing import Annotated

from pydantic import AfterValidator, Field

from fairlead.model.definition import Definition
from fairlead.model.value import Integer, refuse
from fairlead.units import Duration, Share

__all__ = ["PassiveHealth"]

_LONGEST_COOLDOWN = Duration(3_600_000)


def _cooldown(value: Duration) -> Duration:
    if not Duration(1) <= value <= _LONGEST_COOLDOWN:
        message = f"{value} is out of range: 1ms to {_LONGEST_COOLDOWN}"
        raise refuse(message)
    return value


class PassiveHealth(Definition):
    """What traffic shows of a backend, and what follows."""

    error_rate: Annotated[
        Share,
        Field(
            description="A backend whose share of errors (5xx, 429, no connection, reset, timeout) is above "
            "that of the pool's other backends by more than this gets fewer requests."
        ),
    ] = Share(0.05)
    consecutive_failures: Annotated[
        Integer,
        Field(
            description="As many failures in a row (refused, reset, broken off; unless the others fail so "
            "as well also timed out, and 5xx if most answers are) eject a backend.",
            ge=1,
            le=1_000_000,
        ),
    ] = 5
    cooldown: Annotated[
        Duration,
        AfterValidator(_cooldown),
        Field(description="How long an ejected one gets nothing. Doubles each time, up to 10 times this."),
    ] = Duration(10_000)
    max_ejected: Annotated[
        Share,
        Field(
            description="The most of the pool that is ejected at once; of a small one, one, unless this is "
            "0 %. Those that refuse connections don't count; the last one is never ejected."
        ),
    ] = Share(0.5)
