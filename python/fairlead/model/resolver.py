"""How names of backends become addresses."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from fairlead.model.address import NameServer
from fairlead.model.definition import Definition
from fairlead.model.value import Listed, refuse
from fairlead.units import Duration

__all__ = ["Resolver"]


class Resolver(Definition):
    """DNS for names of backends. Asked for again as their TTL ends; a failure keeps the last answer."""

    servers: Annotated[
        Listed[NameServer],
        Field(
            description="Servers to ask, in this order. Without them: the system's.",
            examples=[["127.0.0.53"]],
        ),
    ] = ()
    min_ttl: Annotated[
        Duration, Field(description="A name is asked for again no sooner than this, whatever its TTL.")
    ] = Duration(1_000)
    max_ttl: Annotated[
        Duration, Field(description="A name is asked for again no later than this, whatever its TTL.")
    ] = Duration(300_000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_ttl > self.max_ttl:
            message = f"min_ttl ({self.min_ttl}) is above max_ttl ({self.max_ttl})"
            raise refuse(message)
        return self
