"""The kinds of values that keys hold, beside the quantities of ``fairlead.units``."""

import re
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fairlead.units import Duration

__all__ = [
    "Expanded",
    "Flag",
    "HeaderName",
    "Integer",
    "Listed",
    "Many",
    "Name",
    "OneOrMany",
    "Secret",
    "SecretText",
    "Text",
    "Timeout",
    "Word",
    "refuse",
]

T = TypeVar("T")


class Expanded(str):
    """Text in which environment variables were replaced: it becomes what its field is, number or text."""

    __slots__ = ()


def refuse(message: str) -> PydanticCustomError:
    """An error whose text reaches the operator as it is."""
    kind = "refused"
    return PydanticCustomError(kind, "{reason}", {"reason": message})


def _integer(value: object) -> object:
    return (
        int(value)
        if isinstance(value, Expanded) and re.fullmatch(r"-?[0-9]{1,19}", value, re.ASCII)
        else value
    )


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, Expanded) else value


def unexpanded(value: object) -> object:
    return str(value) if isinstance(value, Expanded) else value


def _filled(value: str) -> str:
    if not value:
        message = "is empty"
        raise refuse(message)
    if "\0" in value:
        # No path, argument or header can hold one.
        message = "holds a NUL character"
        raise refuse(message)
    return value


Integer = Annotated[int, BeforeValidator(_integer, json_schema_input_type=int)]
Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool)]
Text = Annotated[str, BeforeValidator(unexpanded, json_schema_input_type=str), AfterValidator(_filled)]


def _positive(value: Duration) -> Duration:
    if value.milliseconds == 0:
        message = "must be more than 0"
        raise refuse(message)
    return value


Timeout = Annotated[Duration, AfterValidator(_positive)]
"""A duration that cannot be 0: there, it could be meant as none or as at once."""


class Secret:
    """Marks a text that is never shown, and that may be in a file: ``token`` or ``token_file``."""


SecretText = Annotated[SecretStr, BeforeValidator(unexpanded, json_schema_input_type=str), Secret()]

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"


def _name(value: str) -> str:
    # Names stand in paths of the API, in POOL/BACKEND and in labels of metrics: no slash, @, space or quote.
    if not re.fullmatch(_NAME, value, re.ASCII):
        message = (
            f'"{value}" is no name: up to 100 letters, digits, "_", "." and "-", not starting with "." or "-"'
        )
        raise refuse(message)
    return value


Name = Annotated[
    str,
    BeforeValidator(unexpanded, json_schema_input_type=str),
    AfterValidator(_name),
    Field(json_schema_extra={"pattern": f"^{_NAME}$"}),
]

FIELD_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 5.6.2


def _header_name(value: str) -> str:
    if not re.fullmatch(FIELD_NAME, value, re.ASCII):
        message = f'"{value}" is no name of a header'
        raise refuse(message)
    return value


HeaderName = Annotated[
    str,
    BeforeValidator(unexpanded, json_schema_input_type=str),
    AfterValidator(_header_name),
    Field(json_schema_extra={"pattern": f"^{FIELD_NAME}$"}),
]


class Many:
    """Reads a list as a tuple; with ``single``, also one value in the place of a list of one."""

    def __init__(self, *, single: bool) -> None:
        self.single = single

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = handler.generate_schema(get_args(source)[0])

        def read(value: object) -> object:
            if isinstance(value, list):
                if not value:
                    message = "is an empty list"
                    raise refuse(message)
                return tuple(value)
            return (value,) if self.single and not isinstance(value, tuple) else value

        written = core_schema.list_schema(item, min_length=1)
        return core_schema.no_info_before_validator_function(
            read,
            core_schema.tuple_variable_schema(item),
            json_schema_input_schema=core_schema.union_schema([item, written]) if self.single else written,
        )


Listed = Annotated[tuple[T, ...], Many(single=False)]
"""At least one, in a list."""
OneOrMany = Annotated[tuple[T, ...], Many(single=True)]
"""One value, or a list of at least one."""


class Word:
    """Marks an optional value: how its absence is written, such as ``off`` or ``unlimited``."""

    def __init__(self, word: str | bool) -> None:  # noqa: FBT001  (`false` is such a word)
        self.word = word
        self.text = str(word).lower()

    def _means(self, value: object) -> bool:
        if isinstance(value, Expanded):
            return value == self.text
        return type(value) is type(self.word) and value == self.word

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        inner = handler(source)
        given = inner["schema"] if inner["type"] == "nullable" else inner
        return core_schema.no_info_before_validator_function(
            lambda value: None if self._means(value) else value,
            inner,
            json_schema_input_schema=core_schema.union_schema(
                [core_schema.literal_schema([self.word]), given]
            ),
        )
