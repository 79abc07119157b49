"""The JSON Schema of the format, for editors: what may be written, with units' patterns and descriptions."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from fairlead.model import Configuration
from fairlead.model.definition import Definition
from fairlead.model.shape import definitions, secret_keys

__all__ = ["schema"]

# Bounds that pydantic cannot place behind our validators keep its own names.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class _Generator(GenerateJsonSchema):
    """What is written, where pydantic would say what a model holds."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Null is never written: a key is left out instead."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A default as text, where it is a quantity."""
        inner = self.generate_inner(schema["schema"])
        if isinstance(schema.get("default"), Definition) or schema.get("default") in {None, ()}:
            return inner
        return {**inner, "default": _written(schema["default"])} if "default" in schema else inner


def schema() -> dict[str, Any]:
    """The schema of a whole file."""
    made = Configuration.model_json_schema(schema_generator=_Generator)
    for definition in definitions():
        written = made if definition is Configuration else made["$defs"].get(definition.__name__)
        if written:
            _secrets(definition, written)
    backend = made["$defs"]["Backend"]
    made["$defs"]["Backend"] = {
        "anyOf": [{"type": "string", "examples": backend["properties"]["address"]["examples"]}, backend]
    }
    # Parts may be in files that are included, so nothing is missing in a file by itself.
    made.pop("required", None)
    return {"$schema": _Generator.schema_dialect, **_tidy(made)}


def _secrets(definition: type[Definition], written: dict[str, Any]) -> None:
    for key in secret_keys(definition):
        description = f"A file that holds `{key}`; a relative path belongs to this file's directory."
        written["properties"][f"{key}_file"] = {"type": "string", "description": description}
        if definition.model_fields[key].is_required():
            written["required"] = [each for each in written.get("required", []) if each != key]
            written["oneOf"] = [{"required": [key]}, {"required": [f"{key}_file"]}]
        else:
            written["not"] = {"required": [key, f"{key}_file"]}


def _tidy(value: Any) -> Any:  # noqa: ANN401  (any JSON)
    if isinstance(value, list):
        return [_tidy(each) for each in value]
    if not isinstance(value, dict):
        return value
    is_type = isinstance(value.get("type"), str)
    tidy = {}
    for key, each in value.items():
        if key in {"title", "discriminator"} and not isinstance(each, dict):
            continue
        if key == "writeOnly" or (key == "format" and each == "password"):
            continue
        tidy[_BOUNDS.get(key, key) if is_type else key] = _tidy(each)
    return tidy


def _written(value: object) -> object:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [_written(each) for each in value]
    return str(value)
