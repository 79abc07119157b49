"""Which requests get a second try beside the first."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from fairlead.model.definition import Definition
from fairlead.model.value import Text, Timeout, refuse
from fairlead.units import Share

__all__ = ["Hedge"]

_PERCENTILE = "p[5-9][0-9]"


def _percentile(value: str) -> str:
    if re.fullmatch(_PERCENTILE, value, re.ASCII):
        return value
    message = f'"{value}" is no percentile: write p50 to p99, or a time such as 50ms'
    raise refuse(message)


def _unsaid(value: object) -> object:
    found = re.fullmatch("([5-9][0-9])%?", str(value), re.ASCII)
    if found is None:
        return value
    message = f'"{value}" says no unit: write p{found[1]} for a percentile, or {found[1]}ms for a time'
    raise refuse(message)


def _kind(value: object) -> str:
    return "<percentile>" if isinstance(value, str) and not value[:1].isdigit() else "<time>"


Percentile = Annotated[
    Text, AfterValidator(_percentile), Field(json_schema_extra={"pattern": f"^{_PERCENTILE}$"})
]
After = Annotated[
    Annotated[
        Annotated[Percentile, Tag("<percentile>")] | Annotated[Timeout, Tag("<time>")], Discriminator(_kind)
    ],
    BeforeValidator(_unsaid),
]


class Hedge(Definition):
    """Which requests are sent to a second backend while the first one takes its time."""

    after: Annotated[
        After,
        Field(
            description="After what time: that within which so many percent of the pool's answers come, "
            "`p50` to `p99`; or a fixed one.",
            examples=["p95", "50ms"],
        ),
    ] = "p95"
    budget: Annotated[
        Share,
        Field(
            description="The most second tries, as a share of the requests of the last 10 s that could "
            "have one, but at least one in 10 s."
        ),
    ] = Share(0.05)
