"""What may stand at a path of the configuration: for errors, for secrets in files, for the reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from fairlead.errors import Step
from fairlead.model.choice import Known
from fairlead.model.configuration import Configuration
from fairlead.model.definition import Definition, Reserved
from fairlead.model.value import Many, Secret, Word

__all__ = ["Spot", "definitions", "has_secrets", "secret_keys", "spot"]


@dataclass(frozen=True, slots=True)
class Spot:
    """What a path leads to: the definitions it may be, or the field it is, with the type and its marks."""

    annotation: Any
    metadata: tuple[Any, ...] = ()

    @property
    def definitions(self) -> tuple[type[Definition], ...]:
        """The mappings that may stand here, none for a scalar or a list."""
        return tuple(_definitions(self.annotation))

    @property
    def marks(self) -> tuple[Any, ...]:
        """Everything that is said about the value beside its type, constraints too."""
        return (*self.metadata, *_marks(self.annotation))

    @property
    def reserved(self) -> tuple[str, ...]:
        """Values that a later version will know."""
        return tuple(value for mark in self.marks if isinstance(mark, Reserved) for value in mark.values)

    @property
    def words(self) -> tuple[str, ...]:
        """Words that stand for the absence of a value, such as ``off``."""
        return tuple(mark.text for mark in self.marks if isinstance(mark, Word))

    @property
    def known(self) -> tuple[str, ...]:
        """Every word that may be written here, or with which what is written may begin."""
        words = [*_literals(self.annotation), *self.words, *self.reserved]
        for mark in self.marks:
            if isinstance(mark, Known):
                words += mark.words
            elif isinstance(mark, Many) and mark.single:
                # One value stands in the place of a list of one.
                words += (
                    word for item in get_args(_bare(self.annotation)[0])[:1] for word in Spot(item).known
                )
        return tuple(dict.fromkeys(words))


def spot(path: Sequence[Step], root: type[Definition] = Configuration) -> Spot | None:
    """What may stand at a path of the configuration, ``None`` if nothing may."""
    found = [Spot(root)]
    for step in path:
        found = [below for each in found for below in _below(each.annotation, step)]
        if not found:
            return None
    if len(found) == 1:
        return found[0]
    return Spot(Union[tuple(each.annotation for each in found)], found[0].metadata)  # noqa: UP007  (made at run time)


def _below(annotation: Any, step: Step) -> Iterator[Spot]:  # noqa: ANN401
    annotation, _ = _bare(annotation)
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        for each in get_args(annotation):
            yield from _below(each, step)
    elif origin is dict:
        yield Spot(get_args(annotation)[1])
    elif origin is tuple:
        # One value may stand in the place of a list of one.
        item = get_args(annotation)[0]
        if isinstance(step, int):
            yield Spot(item)
        else:
            yield from _below(item, step)
    elif isinstance(annotation, type) and issubclass(annotation, Definition) and isinstance(step, str):
        field = annotation.model_fields.get(step)
        if field is not None:
            yield _field(field)


def _field(field: FieldInfo) -> Spot:
    return Spot(field.annotation, tuple(field.metadata))


def _bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return inner, tuple(marks)
    return annotation, ()


def _marks(annotation: Any) -> Iterator[Any]:  # noqa: ANN401
    inner, marks = _bare(annotation)
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)
    if get_origin(inner) in {Union, UnionType}:
        for each in get_args(inner):
            yield from _marks(each)


def _literals(annotation: Any) -> Iterator[str]:  # noqa: ANN401
    inner, _ = _bare(annotation)
    origin = get_origin(inner)
    if origin is Literal:
        yield from get_args(inner)
    elif origin in {Union, UnionType}:
        for each in get_args(inner):
            yield from _literals(each)


def _definitions(annotation: Any) -> Iterator[type[Definition]]:  # noqa: ANN401
    inner, _ = _bare(annotation)
    if get_origin(inner) in {Union, UnionType}:
        for each in get_args(inner):
            yield from _definitions(each)
    elif isinstance(inner, type) and issubclass(inner, Definition):
        yield inner


def definitions(annotation: Any = Configuration) -> Iterator[type[Definition]]:  # noqa: ANN401
    """A definition and all that are reachable from it, each once, in the order of their keys."""
    seen: set[type[Definition]] = set()

    def walk(annotation: Any) -> Iterator[type[Definition]]:  # noqa: ANN401
        inner, _ = _bare(annotation)
        if isinstance(inner, type) and issubclass(inner, Definition):
            if inner in seen:
                return
            seen.add(inner)
            yield inner
            for field in inner.model_fields.values():
                yield from walk(field.annotation)
        else:
            for each in get_args(inner):
                yield from walk(each)

    yield from walk(annotation)


@cache
def secret_keys(definition: type[Definition]) -> frozenset[str]:
    """The keys of a definition that hold a secret, each of which may be a file: ``x_file``."""
    fields = definition.model_fields.items()
    return frozenset(
        name for name, field in fields if any(isinstance(mark, Secret) for mark in _field(field).marks)
    )


@cache
def has_secrets(definition: type[Definition]) -> bool:
    """Whether a definition, or one below it, holds a secret."""
    return any(secret_keys(each) for each in definitions(definition))
