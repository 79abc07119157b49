"""Which requests are tried again."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fairlead.model.choice import Known
from fairlead.model.definition import Definition
from fairlead.model.value import Integer, Listed, Text, Timeout, refuse
from fairlead.units import Duration, Share, Size

__all__ = ["Retry"]

_CONDITIONS = ("connect_failure", "reset")
_LARGEST_REPLAY = Size(16 * 2**20)


def _condition(value: str) -> str:
    if value in _CONDITIONS or re.fullmatch("[45][0-9]{2}", value, re.ASCII):
        return value
    message = f'unknown condition "{value}": write connect_failure, reset or a status from 400 to 599'
    raise refuse(message)


def _replay(value: Size) -> Size:
    if value > _LARGEST_REPLAY:
        message = f"{value} is out of range: 0B to {_LARGEST_REPLAY}"
        raise refuse(message)
    return value


class Retry(Definition):
    """Which requests get another try, on another backend if there is one."""

    on: Annotated[
        Listed[Annotated[Text, AfterValidator(_condition), Known(*_CONDITIONS)]],
        Field(
            description="After what: `connect_failure` (for any method: nothing was sent), `reset` (the "
            "connection broke before the answer), a status of an answer.",
            examples=[["connect_failure", "reset", "503"]],
        ),
    ] = _CONDITIONS
    attempts: Annotated[
        Integer, Field(description="All tries of a request, the first one included.", ge=1, le=32)
    ] = 2
    per_try_timeout: Annotated[
        Timeout | None,
        Field(
            description="From picking a backend to the head of its answer; while a body is on its way, "
            "without anything of it being taken. Waiting for the client doesn't count. A try that takes "
            "longer is given up, and counts as `reset` and as `504`.",
            examples=["5s"],
        ),
    ] = None
    budget: Annotated[
        Share,
        Field(
            description="The most further tries, as a share of the pool's requests of the last 10 s, but "
            "at least 10 a second. Those after connect failures don't count."
        ),
    ] = Share(0.2)
    backoff: Annotated[
        Duration,
        Field(
            description="The wait before a further try is anything from 0s to this, then to twice this, "
            "up to 1s. None after connect failures."
        ),
    ] = Duration(25)
    methods: Annotated[
        Literal["safe", "idempotent"],
        Field(
            description="What may be done twice: GET, HEAD, OPTIONS and TRACE; or PUT and DELETE too. "
            "Anything else is only tried again if nothing was sent."
        ),
    ] = "safe"
    replay_size: Annotated[
        Size,
        AfterValidator(_replay),
        Field(description="A body is kept for a further try up to this size; 0B to 16MiB."),
    ] = Size(64 * 1024)
