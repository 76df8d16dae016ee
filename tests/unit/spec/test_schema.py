from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from gyrus.spec.schema import json_schema


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield cast("dict[str, Any]", value)
        for item in cast("dict[str, Any]", value).values():
            yield from nodes(item)
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from nodes(item)


def test_a_file_is_a_list_of_apis():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["type"], schema["items"]) == ("array", {"$ref": "#/$defs/RealtimeAPI"})
    api = schema["$defs"]["RealtimeAPI"]
    assert api["required"] == ["name"]
    assert api["oneOf"] == [{"required": [name]} for name in ("handler", "process", "pod")]
    assert api["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema


def test_every_field_is_described():
    for name, definition in json_schema()["$defs"].items():
        for field, schema in definition.get("properties", {}).items():
            target = json_schema()["$defs"].get(schema.get("$ref", "").removeprefix("#/$defs/"), {})
            assert schema.get("description") or target.get("description"), f"{name}.{field}"


def test_no_noise_and_no_broken_reference():
    schema = json_schema()
    for node in nodes(schema):
        assert node is schema or not isinstance(node.get("title"), str)
        assert node.get("default", 0) is not None
        if isinstance(node.get("$ref"), str):
            assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]


def test_values_are_shown_as_the_yaml_writes_them():
    definitions = json_schema()["$defs"]
    assert definitions["RealtimeAPI"]["properties"]["timeout"]["default"] == "1m"
    assert definitions["RealtimeAPI"]["properties"]["kind"]["const"] == "RealtimeAPI"
    assert definitions["Process"]["properties"]["protocol"]["enum"] == ["http1", "http2"]
    assert definitions["Compute"]["properties"]["mem"]["examples"] == ["512Mi", "1Gi"]
    assert definitions["Handler"]["properties"]["processes"]["maximum"] == 64
