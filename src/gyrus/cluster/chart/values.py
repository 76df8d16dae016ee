"""The chart's default values and their schema, from the settings of a values file. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from gyrus.cluster.settings import ClusterSettings
from gyrus.spec.api import Model

SchemaObject = dict[str, Any]
WIDTH = 110
"""Characters of a line, at most."""

HEAD = """\
# The values of the chart: the settings of a values file of `gyrus cluster install`, with the same defaults.
# Written by scripts/chart from src/gyrus/cluster/settings.py. Do not edit it here.
"""
REFUSED = frozenset({"pod_security"})
"""Settings that the chart refuses, with the reason: see ``refused.yaml`` of the templates."""


def default_values() -> str:
    """Return the file ``values.yaml``: each setting with its default and its description."""
    schema = values_schema()
    return HEAD + "\n".join(_lines(ClusterSettings(), schema, schema["$defs"])) + "\n"


def values_schema() -> SchemaObject:
    """Return the file ``values.schema.json``. Helm adds ``global`` to the values of every chart."""
    schema = cast(SchemaObject, _plain(ClusterSettings.model_json_schema()))
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    schema["properties"]["global"] = {"type": "object", "description": "Helm's own."}
    return schema


def _lines(settings: Model, schema: SchemaObject, definitions: SchemaObject, path: str = "") -> Iterator[str]:
    for name, item in settings:
        field = schema["properties"][name]
        here = f"{path}.{name}".removeprefix(".")
        indent = "  " * path.count(".") + ("  " if path else "")
        inner = definitions.get(str(field.get("$ref", "")).rpartition("/")[2], {})
        if here in REFUSED:
            continue
        if text := field.get("description") or (inner.get("description") if inner else ""):
            yield f"{indent}# {' '.join(str(text).split())}"
        if isinstance(item, Model):
            yield f"{indent}{name}:"
            yield from _lines(item, inner, definitions, here)
        else:
            yield f"{indent}{name}: {_written(item)}"


def _written(item: object) -> str:
    if isinstance(item, str) and item:
        return item
    return json.dumps(item)


def _plain(schema: object) -> object:
    """Return a schema without the titles that pydantic derives from names."""
    if isinstance(schema, dict):
        fields = cast(SchemaObject, schema)
        return {
            key: _plain(item)
            for key, item in fields.items()
            if not (key == "title" and isinstance(item, str))
        }
    if isinstance(schema, list):
        return [_plain(item) for item in cast("list[object]", schema)]
    return schema
