"""What the models found, said in the operator's words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fairlead.config.suggestion import suggestion
from fairlead.errors import Step
from fairlead.model import Configuration
from fairlead.model.definition import Definition
from fairlead.model.shape import Spot, secret_keys, spot
from fairlead.model.value import Secret

__all__ = ["NOT_SUPPORTED", "Finding", "findings"]

NOT_SUPPORTED = "not supported in this version"


class Finding(NamedTuple):
    """A path and what is wrong there."""

    path: tuple[Step, ...]
    message: str
    with_key: bool = False
    """Whether the key is wrong, and not its value."""


_Look = Callable[[Sequence[Step]], Spot | None]
"""What may stand at a path."""


def findings(
    error: ValidationError, data: Mapping[str, object], root: type[Definition] = Configuration
) -> Iterator[Finding]:
    """Each error of a validation of ``data`` as ``root``, with its path as written."""
    look = partial(spot, root=root)
    for each in error.errors(include_url=False):
        path = _path(each["loc"], data)
        finding = _finding(each, path, data, look)
        if finding is not None:
            yield finding


def _path(location: tuple[Step, ...], data: object) -> tuple[Step, ...]:
    """The part of pydantic's location that is written.

    It also names the branch of a union (``<pool>``), that a key is meant (``[key]``), the place in a list
    where one value stands for a list, and the key of a mapping where text stands for it.
    """
    path: tuple[Step, ...] = ()
    current = data
    for step in location:
        if isinstance(step, str) and (step == "[key]" or step.startswith("<")):
            continue
        if isinstance(current, dict):
            if not isinstance(step, str):
                continue
            path = (*path, step)
            if step not in current:
                return path
            current = current[step]
        elif isinstance(current, list) and isinstance(step, int):
            path = (*path, step)
            current = current[step]
    return path


def _finding(
    error: ErrorDetails, path: tuple[Step, ...], data: Mapping[str, object], look: _Look
) -> Finding | None:
    if error["type"] == "missing":
        return _missing(error, path, look)
    if error["type"] == "extra_forbidden":
        return Finding(path, _extra(path, data, look), with_key=True)
    return Finding(path, _text(error, path, look(path) or Spot(None)))


def _missing(error: ErrorDetails, path: tuple[Step, ...], look: _Look) -> Finding | None:
    *above, key = path
    for definition in _definitions(look(above)):
        if key in definition.ONE_OF:
            if any(each in error["input"] for each in definition.ONE_OF):
                return None  # what is there has its own error
            built = [each for each in definition.ONE_OF if each not in definition.RESERVED]
            return Finding(
                tuple(above), f"needs {'exactly one of ' if len(built) > 1 else ''}{_either(built)}"
            )
        if key in secret_keys(definition):
            return Finding(path, f"is missing, or {key}_file")
    return Finding(path, "is missing")


def _extra(path: tuple[Step, ...], data: Mapping[str, object], look: _Look) -> str:
    *above, last = path
    key = str(last)
    definitions = _definitions(look(above))
    known = {name for each in definitions for name in (*each.model_fields, *each.RESERVED)}
    for definition in definitions:
        if key in definition.RESERVED:
            return NOT_SUPPORTED
        if key in definition.ONE_OF:
            others = [each for each in definition.ONE_OF if each in _at(data, above) and each != key]
            return f"stands beside {_either(others)}, and only one of them may"
    owners = [each for each in definitions if key in each.model_fields]
    if owners and all("type" in each.model_fields for each in owners):
        types = [name for each in owners for name in Spot(each.model_fields["type"].annotation).known]
        return f"belongs to type {_either(types)}"
    if key == "<<":
        return "merge keys are no part of YAML 1.2: repeat the keys, or let an alias be a whole value"
    return f'unknown key "{key}"{suggestion(key, known)}'


def _at(data: object, path: list[Step]) -> Any:  # noqa: ANN401
    for step in path:
        data = data[step]  # type: ignore[index]
    return data


def _definitions(found: Spot | None) -> tuple[type[Definition], ...]:
    return found.definitions if found else ()


def _text(error: ErrorDetails, path: tuple[Step, ...], at: Spot) -> str:
    write = _WORDING.get(error["type"])
    text = write(error, path, at) if write else error["msg"]
    return text + (_meant(error["input"], at) if error["type"] != "literal_error" else "")


def _meant(value: object, at: Spot) -> str:
    """Which of the words that are known here was misspelt; nothing if none is near."""
    if not isinstance(value, str) or value in at.known:
        return ""
    # Behind one that only begins what is written, the rest stays as it is.
    rest = value.partition(":")[2] or "NAME"
    return suggestion(value, (word + rest if word.endswith(":") else word for word in at.known))


def _said(error: ErrorDetails, _path: tuple[Step, ...], at: Spot) -> str:
    """With the words that might stand there, too, where a quantity is expected."""
    words = "".join(f', or "{word}"' for word in at.words) if error["type"] == "unit" else ""
    return str(error["ctx"]["reason"]) + words


def _literal(error: ErrorDetails, path: tuple[Step, ...], at: Spot) -> str:
    value = error["input"]
    known = [word for word in at.known if word not in at.reserved]
    if not isinstance(value, str):
        return f"{_either(known)} is expected"
    if value in at.reserved:
        return f'"{value}" is {NOT_SUPPORTED}'
    noun = next((step for step in reversed(path) if isinstance(step, str)), "value")
    near = suggestion(value, at.known)
    return f'unknown {noun} "{value}"{near or f" ({_either(known)})"}'


def _range(error: ErrorDetails, _path: tuple[Step, ...], at: Spot) -> str:
    lowest = highest = None
    for mark in at.marks:
        match mark:
            case Ge(ge):
                lowest = ge
            case Gt(gt):
                lowest = gt + 1  # type: ignore[operator]
            case Le(le):
                highest = le
            case Lt(lt):
                highest = lt - 1  # type: ignore[operator]
    value = error["input"]
    if highest is None:
        return f"{value} is out of range: {lowest} or more"
    return (
        f"{value} is out of range: {lowest} to {highest}"
        if lowest is not None
        else f"{value}: at most {highest}"
    )


def _type(expected: str) -> Callable[[ErrorDetails, tuple[Step, ...], Spot], str]:
    def text(error: ErrorDetails, _path: tuple[Step, ...], at: Spot) -> str:
        value = error["input"]
        words = "".join(f' or "{word}"' for word in at.known if word not in at.reserved)
        return f"{expected}{words} is expected, not {_kind(value)}{_unquoted(value, expected)}"

    return text


def _unquoted(value: object, expected: str) -> str:
    """What to write where text only looks like what is expected, or says the same in another way."""
    if not isinstance(value, str):
        return ""
    written = _FLAGS.get(value.lower()) if expected == _FLAG else None
    if expected == _NUMBER and value.isascii() and value.isdecimal():
        written = value
    return f": write {written}" if written else ""


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def _string(error: ErrorDetails, path: tuple[Step, ...], at: Spot) -> str:
    value = error["input"]
    secret = any(isinstance(mark, Secret) for mark in at.marks)
    if isinstance(value, (bool, int, float)) and not secret:
        written = str(value).lower() if isinstance(value, bool) else value
        return f'text is expected: write "{written}", in quotes'
    return _type("text")(error, path, at)


def _short(error: ErrorDetails, _path: tuple[Step, ...], _at: Spot) -> str:
    return f"is too short: at least {error['ctx']['min_length']} characters"


_NUMBER = "a whole number"
_FLAG = "true or false"
_FLAGS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
"""What is truth elsewhere is text in YAML 1.2."""

_WORDING: dict[str, Callable[[ErrorDetails, tuple[Step, ...], Spot], str]] = {
    "refused": _said,
    "unit": _said,
    "literal_error": _literal,
    "greater_than_equal": _range,
    "greater_than": _range,
    "less_than_equal": _range,
    "less_than": _range,
    "int_type": _type(_NUMBER),
    "float_type": _type("a number"),
    "bool_type": _type(_FLAG),
    "string_type": _string,
    "model_type": _type("a mapping"),
    "dict_type": _type("a mapping"),
    "tuple_type": _type("a list"),
    "too_short": _short,
    "string_too_short": _short,
}


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing"
