"""Requests that wait while every backend is full."""

from typing import Annotated

from pydantic import Field

from fairlead.model.definition import Definition
from fairlead.model.value import Integer, Timeout
from fairlead.units import Duration

__all__ = ["Queue"]


class Queue(Definition):
    """Where requests wait until a backend has fewer than its `max_in_flight`."""

    size: Annotated[
        Integer, Field(description="The most that wait; those beyond get 503.", ge=1, le=1_000_000)
    ] = 1000
    timeout: Annotated[Timeout, Field(description="The longest wait; then 503.")] = Duration(5_000)
