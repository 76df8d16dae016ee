"""An example payload for an API, made from the API's OpenAPI document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 6
"""Levels of nesting to follow; a schema may refer to itself."""

_BY_TYPE: dict[str, Any] = {"number": 1.0, "integer": 1, "boolean": True, "string": "text", "null": None}


def payload_of(document: Mapping[str, Any]) -> Any:
    """Return a payload for the document's first POST; an empty object if the document describes none."""
    for path in document.get("paths", {}).values():
        content = path.get("post", {}).get("requestBody", {}).get("content", {})
        described = content.get("application/json", {})
        if "example" in described:
            return described["example"]
        if described.get("schema"):
            return _example(described["schema"], document, DEEPEST)
    return {}


def _example(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> Any:
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if depth == 0:
        return None
    if "$ref" in schema:
        return _example(_referred(schema["$ref"], document), document, depth - 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _example(schema[key][0], document, depth - 1)
    return _by_type(schema, document, depth)


def _by_type(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> Any:
    kinds: list[str] | str | None = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind == "array":
        return [_example(schema.get("items", {}), document, depth - 1)]
    if isinstance(kind, str) and kind in _BY_TYPE:
        return schema.get("minimum", _BY_TYPE[kind])
    fields = schema.get("properties", {})
    wanted = schema.get("required", fields)
    return {name: _example(fields[name], document, depth - 1) for name in wanted if name in fields}


def _referred(reference: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part, {})
    return found
