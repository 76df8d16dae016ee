"""Formats that msgspec's JSON Schemas leave out: those of times that may have a zone or none.

Without the format, the schema allows any text, of which the handler refuses most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

Json = dict[str, Any]
Part = tuple[inspect.Type, Json]


def add_formats(info: inspect.Type, schema: Json, components: Json) -> None:
    """Add the formats to a type's schema and to the components that it refers to."""
    seen: set[str] = set()
    waiting: list[Part] = [(info, schema)]
    while waiting:
        info, schema = waiting.pop()
        while isinstance(info, inspect.Metadata):
            info = info.type
        if reference := schema.get("$ref"):
            name = reference.rpartition("/")[2]
            if name in seen:
                continue
            seen.add(name)
            schema = components[name]
        _add_own(info, schema)
        waiting += _parts(info, schema)


def _add_own(info: inspect.Type, schema: Json) -> None:
    if isinstance(info, inspect.DateTimeType) and info.tz is None:
        schema.setdefault("format", "date-time")
    elif isinstance(info, inspect.TimeType) and info.tz is None:
        schema.setdefault("format", "time")


def _parts(info: inspect.Type, schema: Json) -> Iterator[Part]:
    """Yield the types that the type is made of, each with its schema."""
    match info:
        case inspect.CollectionType() if "items" in schema:
            yield info.item_type, schema["items"]
        case inspect.TupleType():
            yield from zip(info.item_types, schema.get("prefixItems", ()), strict=False)
        case inspect.DictType() if "additionalProperties" in schema:
            yield info.value_type, schema["additionalProperties"]
        case inspect.UnionType():
            yield from _choices(info, schema)
        case (
            inspect.StructType()
            | inspect.DataclassType()
            | inspect.TypedDictType()
            | inspect.NamedTupleType()
        ):
            yield from _fields(info, schema)
        case _:
            pass


def _choices(info: inspect.UnionType, schema: Json) -> Iterator[Part]:
    """Yield the choices in msgspec's order: first others, then structs, then null."""
    kinds = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
    structs = [kind for kind in kinds if _is_struct(kind)]
    others = [kind for kind in kinds if not _is_struct(kind)]
    yield from zip([*others, *structs], _flat(schema), strict=False)


def _flat(schema: Json) -> Iterator[Json]:
    """Yield the schemas of the choices; those of several structs are in a schema of their own."""
    for choice in schema.get("anyOf", ()):
        yield from choice["anyOf"] if "discriminator" in choice else (choice,)


def _is_struct(info: inspect.Type) -> bool:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.StructType) and not info.array_like


def _fields(
    info: inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType,
    schema: Json,
) -> Iterator[Part]:
    if "properties" in schema:
        for field in info.fields:
            yield field.type, schema["properties"][field.encode_name]
    else:
        yield from zip((field.type for field in info.fields), schema["prefixItems"], strict=False)
