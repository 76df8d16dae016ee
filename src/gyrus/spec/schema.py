"""The JSON Schema of the YAML file, for editors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from gyrus.spec.kinds import KINDS
from gyrus.spec.quantities import format_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema of a whole file, which is a list of APIs."""
    definitions: dict[str, Any] = {}
    for kind, model in KINDS.items():
        definitions |= definitions_of(kind, model)
    choices = [{"$ref": f"#/$defs/{kind}"} for kind in KINDS]
    return {
        "$schema": DIALECT,
        "title": "gyrus.yaml",
        "description": "The APIs that gyrus deploys.",
        "type": "array",
        "minItems": 1,
        "items": choices[0] if len(choices) == 1 else {"oneOf": choices},
        "$defs": definitions,
    }


def definitions_of(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model, under this name, and those of its sections."""
    whole: dict[str, Any] = _tidy(model.model_json_schema(schema_generator=_Generator))
    sections = whole.pop("$defs", {})
    return {name: whole} | sections


class _Generator(GenerateJsonSchema):
    """A generator that writes durations as the YAML does."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _tidy(node: Any) -> Any:
    """Leave out redundant parts of a schema.

    These are titles that repeat names, defaults of sections (their fields have their own), and null if it
    means the same as a missing field.
    """
    if isinstance(node, list):
        return [_tidy(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = dict(cast("dict[str, Any]", node))
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if "default" in schema and (schema["default"] is None or isinstance(schema["default"], dict)):
        schema |= _without_null(schema) if schema.pop("default") is None else {}
        if schema.get("anyOf") == []:
            del schema["anyOf"]
    if isinstance(schema.get("description"), str):
        schema["description"] = " ".join(schema["description"].split())
    return {key: _tidy(value) for key, value in schema.items()}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the only alternative to null in place of the choice. Returns {} if there are more."""
    others = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    return {"anyOf": []} | others[0] if len(others) == 1 else {}
