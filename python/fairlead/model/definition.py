"""What every part of the configuration is made from.

A key has one definition: a pydantic field with its type, default, description and examples. The parser, the
JSON Schema, the wording of errors and the reference page all come from it, so what a type cannot say is said
here, where each of these can read it: keys and values that later versions will know.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

__all__ = ["Definition", "Reserved"]


class Definition(BaseModel):
    """A mapping of the configuration: immutable, its keys fixed, nothing converted silently."""

    # Hiding the input keeps secrets out of tracebacks.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    RESERVED: ClassVar[tuple[str, ...]] = ()
    """Keys of the format that this version refuses as "not supported", rather than as unknown."""

    ONE_OF: ClassVar[tuple[str, ...]] = ()
    """Keys of which exactly one is written, whether built yet or not."""


class Reserved:
    """Marks a field: values of the format that this version refuses as "not supported"."""

    def __init__(self, *values: str) -> None:
        self.values = values
