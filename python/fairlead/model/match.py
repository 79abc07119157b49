"""Which requests a route takes."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Discriminator, Field, Tag

from fairlead.model.address import HostPattern
from fairlead.model.choice import by_key
from fairlead.model.definition import Definition
from fairlead.model.value import OneOrMany, Text, refuse

__all__ = ["Match", "PathPattern", "PathRegex"]


def _pattern(value: str) -> str:
    if not value.startswith("/"):
        message = f'"{value}": a path starts with "/"'
        raise refuse(message)
    for character in "?#":
        if character in value:
            message = f'"{value}": a path is matched without its query or fragment ("{character}")'
            raise refuse(message)
    if "*" in value and any("*" in segment and segment != "*" for segment in value.split("/")):
        message = f'"{value}": "*" is a whole segment, as in /api/* or /users/*/photo; for more write a regex'
        raise refuse(message)
    return value


PathPattern = Annotated[Text, AfterValidator(_pattern)]


class PathRegex(Definition):
    """A path by regular expression: Rust's syntax, unanchored, linear time."""

    regex: Annotated[Text, Field(description="The expression.", examples=["^/v[0-9]+/"])]


PathMatch = Annotated[
    Annotated[PathPattern, Tag("<pattern>")] | Annotated[PathRegex, Tag("<regex>")],
    Discriminator(by_key("regex", scalar="pattern")),
]


class Match(Definition):
    """Conditions on a request: all keys given must hold; a list means any of it."""

    RESERVED: ClassVar[tuple[str, ...]] = ("method", "headers", "cookies", "query", "client", "not")

    host: Annotated[
        OneOrMany[HostPattern],
        Field(
            description="Names, without port: exact, or `*.` and a name for everything below it.",
            examples=["example.com", ["api.example.com", "*.api.example.com"]],
        ),
    ] = ()
    path: Annotated[
        OneOrMany[PathMatch],
        Field(
            description="`/x` exactly; `/x/*` itself and all below; `*` inside is exactly one segment; "
            "or `{regex: …}`. Matched case-sensitively on the normalised path.",
            examples=["/api/*", {"regex": "^/v[0-9]+/"}],
        ),
    ] = ()
