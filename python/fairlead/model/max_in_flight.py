"""How many requests a backend has at a time."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from fairlead.model.choice import by_key
from fairlead.model.definition import Definition
from fairlead.model.value import Integer, refuse

__all__ = ["Adaptive", "AdaptiveLimit", "MaxInFlight"]


class Adaptive(Definition):
    """What a limit that finds itself never leaves."""

    min: Annotated[Integer, Field(description="The least.", ge=1, le=1_000_000)] = 1
    max: Annotated[Integer, Field(description="The most.", ge=1, le=1_000_000)] = 1000

    @model_validator(mode="after")
    def _ordered(self) -> "Adaptive":
        if self.min > self.max:
            message = f"min {self.min} is more than max {self.max}"
            raise refuse(message)
        return self


class AdaptiveLimit(Definition):
    """A limit that finds itself: requests are let in for as long as that doesn't make them wait."""

    adaptive: Annotated[Adaptive, Field(description="Its bounds.", examples=[{"min": 4, "max": 200}])]


def _kind(value: object) -> str:
    return "<word>" if value == "adaptive" else by_key("adaptive", scalar="number")(value)


MaxInFlight = Annotated[
    Annotated[
        Annotated[Annotated[Integer, Field(ge=1)], Tag("<number>")]
        | Annotated[Literal["adaptive"], Tag("<word>")]
        | Annotated[AdaptiveLimit, Tag("<adaptive>")],
        Discriminator(_kind),
    ]
    | None,
    Field(
        description="The most requests at once; a backend that has them is skipped. `adaptive`: as many as "
        "it answers without making them wait.",
        examples=[200],
    ),
]
