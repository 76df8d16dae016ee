"""Payloads made up from descriptions."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.cli.example_payload import payload_of


def document(schema: dict[str, Any], **schemas: dict[str, Any]) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": schema}}}
    return {
        "paths": {"/health": {"get": {}}, "/": {"post": {"requestBody": body}}},
        "components": {"schemas": schemas},
    }


FLOWER = {
    "type": "object",
    "properties": {"length": {"type": "number"}, "name": {"type": "string"}, "note": {"type": "string"}},
    "required": ["length", "name"],
}


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ({}, {}),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "array", "items": {"type": "number"}}, [1.0]),
        ({"enum": ["small", "large"]}, "small"),
        ({"type": "string", "examples": ["hello"]}, "hello"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"$ref": "#/components/schemas/Flower"}, {"length": 1.0, "name": "text"}),
        ({"$ref": "#/components/schemas/Missing"}, {}),
    ],
)
def test_a_payload_fits_its_schema(schema: dict[str, Any], payload: object) -> None:
    assert payload_of(document(schema, Flower=FLOWER)) == payload


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}}
    assert "child" in payload_of(document({"$ref": "#/components/schemas/Tree"}, Tree=tree))


def test_nothing_described_is_an_empty_object() -> None:
    assert payload_of({}) == {}
