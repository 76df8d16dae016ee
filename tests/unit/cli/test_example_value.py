"""Example values for schemas. What handlers describe is in ``test_example_request.py``."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.cli.example_value import Indescribable, example_of

FLOWER = {
    "type": "object",
    "properties": {"length": {"type": "number"}, "name": {"type": "string"}, "note": {"type": "string"}},
    "required": ["length", "name"],
}
PAIR = {"allOf": [{"$ref": "#/schemas/Flower"}, {"properties": {"age": {"type": "integer"}}}]}
DOCUMENT = {"schemas": {"Flower": FLOWER, "Pair": PAIR, "a/b": {"const": 5}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 4),  # OpenAPI 3.0
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "exclusiveMaximum": 1}, 0),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "multipleOf": 0.25}, 1.0),
        ({"type": ["null", "string"]}, "text"),
        ({"type": "string", "minLength": 5}, "texttext"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "pattern": "^[0-9]{3}$", "minLength": 3}, "111"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "format": "markdown"}, "text"),
        ({"type": "array", "items": {"type": "number"}}, [1.0]),
        ({"type": "array", "items": {"type": "number"}, "minItems": 3}, [1.0, 1.0, 1.0]),
        ({"type": "array", "items": {"type": "number"}, "maxItems": 0}, []),
        ({"prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False}, [1, True]),
        ({"enum": ["small", "large"]}, "small"),
        ({"type": "string", "examples": ["hello"], "default": "bye"}, "hello"),
        ({"type": "string", "example": "hello", "enum": ["bye"]}, "hello"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"oneOf": [{}, {"type": "null"}]}, None),
        ({"$ref": "#/schemas/Flower"}, {"length": 1.0, "name": "text"}),
        ({"$ref": "#/schemas/Pair"}, {"length": 1.0, "name": "text", "age": 1}),
        ({"$ref": "#/schemas/a~1b"}, 5),
        ({"type": "object", "properties": {}}, {}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"1": 1}),
    ],
)
def test_a_value_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    made = example_of(schema, DOCUMENT)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "array"},
        {"$ref": "#/schemas/Missing"},
        {"type": "string", "pattern": "^x+$"},
        {"type": "string", "pattern": "("},
        {"type": "string", "format": "binary"},
        {"type": "string", "minLength": 5000},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
    ],
)
def test_nothing_is_guessed(schema: dict[str, Any]) -> None:
    with pytest.raises(Indescribable):
        example_of(schema, DOCUMENT)


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/schemas/Tree"}}},
        "required": ["children"],
    }
    assert example_of({"$ref": "#/schemas/Tree"}, {"schemas": {"Tree": tree}}) == {"children": []}
