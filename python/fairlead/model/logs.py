"""What is written down: Fairlead's own log and the access log."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fairlead.model.choice import Known
from fairlead.model.definition import Definition
from fairlead.model.value import Text, refuse
from fairlead.units import Share

__all__ = ["AccessLog", "Logging"]


class Logging(Definition):
    """Fairlead's own log, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least that is written.")
    ] = "info"
    format: Annotated[
        Literal["console", "json"], Field(description="`console` is for people, `json` for collectors.")
    ] = "console"


FORMATS = ("json", "combined")


def _format(value: str) -> str:
    if value not in FORMATS and "{" not in value:
        message = f'unknown format "{value}" (json, combined, or a template such as "{{client}} {{path}}")'
        raise refuse(message)
    return value


class AccessLog(Definition):
    """A line for each request. Without this key none is written."""

    path: Annotated[
        Text,
        Field(description="A file, or `stdout`.", examples=["/var/log/fairlead/access.log"]),
    ] = "stdout"
    format: Annotated[
        Text,
        AfterValidator(_format),
        Known(*FORMATS),
        Field(
            description="`json`, `combined` (Apache's), or a template with `{field}` references.",
            examples=["{client} {method} {path} {status} {duration}"],
        ),
    ] = "json"
    sample: Annotated[Share, Field(description="The share of requests that is logged.")] = Share(1.0)
