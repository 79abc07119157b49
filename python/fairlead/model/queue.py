"""Requests that wait while every backend is full."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from fairlead.model.choice import Known
from fairlead.model.definition import Definition
from fairlead.model.value import FIELD_NAME, Integer, Text, Timeout, refuse
from fairlead.units import Duration

__all__ = ["Queue"]


def _priority(value: str) -> str:
    if re.fullmatch(f"header:{FIELD_NAME}", value, re.ASCII):
        return value
    message = f'"{value}" is not where a priority stands: write header:NAME'
    raise refuse(message)


class Queue(Definition):
    """Where requests wait until a backend has fewer than its `max_in_flight`."""

    size: Annotated[
        Integer, Field(description="The most that wait; those beyond get 503.", ge=1, le=1_000_000)
    ] = 1000
    timeout: Annotated[Timeout, Field(description="The longest wait; then 503.")] = Duration(5_000)
    priority: Annotated[
        Annotated[Text, AfterValidator(_priority), Known("header:")] | None,
        Field(
            description="`header:NAME`: the header whose number, 0 to 255, says who comes first: the higher "
            "the sooner. Without it: first come, first served.",
            examples=["header:X-Priority"],
        ),
    ] = None
