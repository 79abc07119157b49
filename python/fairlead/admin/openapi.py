"""The API's own description, made from the table of its operations and the models of their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path: what the router, the description and the tests read."""

    method: str
    path: str
    """Below ``/api/v1``; ``{name}`` is a parameter."""

    summary: str
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    media: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict)
    """What may be asked more closely: name → what it means."""


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    operations = list(operations)
    models = {model for one in operations for model in (one.answer, one.body) if model is not None}
    references, definitions = models_json_schema(
        [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        schema: dict[str, Any] = {"type": ["object", "array"]}
        if one.answer is not None:
            schema = references[(one.answer, "serialization")]
        answer = {"description": "Success", "content": {one.media: {"schema": schema}}}
        denied = {"description": "Refused; the JSON says why", "content": {"application/json": {}}}
        paths.setdefault(f"/api/v1{one.path}", {})[one.method.lower()] = {
            "summary": one.summary,
            "parameters": [
                {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
                for part in one.path.split("/")
                if part.startswith("{")
            ]
            + [
                {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
                for name, meaning in one.query.items()
            ],
            "responses": {"200": answer, "default": denied},
            **_body(one, references),
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fairlead", "version": version},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _body(one: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    if one.body is None:
        return {}
    schema = references[(one.body, "serialization")]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
