"""An example value for a JSON Schema of an OpenAPI document, with plausible values by type. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

JsonSchema = Mapping[str, Any]

MOST_VALUES = 1000
"""Values in one example. A schema can refer to others so often that its example would have no end."""

_TEXTS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "uuid": "7f1b2b64-6c1f-4a53-9a3e-2f5a3b1c9d10",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "decimal": "1.0",
    "byte": "dGV4dA==",
    "base64": "dGV4dA==",
    "json-string": "{}",
}
"""Texts by the schema's format or encoding."""
_FILES = {"binary", "file-path", "directory-path"}
"""Formats of text for which no example fits every machine."""


class Indescribable(Exception):
    """A schema that allows too much, or requires too much, for an example to be more than a guess."""


class _Recursive(Indescribable):
    """A reference to a schema whose example is still being made."""


def example_of(schema: JsonSchema, document: JsonSchema) -> Any:
    """Return an example for a schema of the document: the schema's own one, or one made from its types.

    Raises Indescribable.
    """
    return _Composer(document).value(schema)


class _Composer:
    """The composition of one example."""

    def __init__(self, document: JsonSchema) -> None:
        self._document = document
        self._open: list[str] = []
        self._left = MOST_VALUES

    def value(self, schema: JsonSchema) -> Any:
        self._left -= 1
        if self._left < 0 or not isinstance(schema, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- a schema may be true or false
            raise Indescribable
        given = list(_given(schema))
        if given:
            return given[0]
        if "$ref" in schema:
            return self._referred(schema["$ref"])
        if parts := schema.get("allOf"):
            return self._merged(parts)
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self._first(choices)
        return self._by_type(schema)

    def _referred(self, reference: str) -> Any:
        if reference in self._open:
            raise _Recursive
        self._open.append(reference)
        try:
            return self.value(_resolved(reference, self._document))
        finally:
            self._open.pop()

    def _merged(self, parts: Sequence[JsonSchema]) -> Any:
        values = [self.value(part) for part in parts]
        if len(values) == 1:
            return values[0]
        if not all(isinstance(value, dict) for value in values):
            raise Indescribable
        return {name: value for part in values for name, value in part.items()}

    def _first(self, choices: Sequence[JsonSchema]) -> Any:
        """Return an example of the first choice that has one; null is the last choice."""
        fault = Indescribable()
        for choice in sorted(choices, key=_is_null):
            try:
                return self.value(choice)
            except Indescribable as missing:
                fault = missing
        raise fault

    def _by_type(self, schema: JsonSchema) -> Any:
        match _type_of(schema):
            case "null":
                return None
            case "boolean":
                return True
            case "integer":
                return int(_number(schema, whole=True))
            case "number":
                return float(_number(schema, whole=False))
            case "string":
                return _text(schema)
            case "array":
                return self._array(schema)
            case "object":
                return self._object(schema)
            case _:
                raise Indescribable

    def _array(self, schema: JsonSchema) -> list[Any]:
        first = [self.value(part) for part in schema.get("prefixItems", ())]
        least, most = schema.get("minItems", 0), schema.get("maxItems", MOST_VALUES)
        missing = min(max(least, 1), most) - len(first)
        if missing <= 0:
            return first
        if (missing > 1 and schema.get("uniqueItems")) or missing > MOST_VALUES:
            raise Indescribable
        try:
            return first + [self.value(schema.get("items", {})) for _ in range(missing)]
        except _Recursive:
            if least > len(first):
                raise
            return first

    def _object(self, schema: JsonSchema) -> dict[str, Any]:
        if "properties" in schema:
            return self._fields(schema)
        if schema.get("minProperties", 0) > 1:
            raise Indescribable
        keys = schema.get(
            "propertyNames", {"const": "1"}
        )  # fits keys that are texts, and keys that are numbers
        key = self.value({"type": "string", **keys})
        return {str(key): self.value(schema.get("additionalProperties", {}))}

    def _fields(self, schema: JsonSchema) -> dict[str, Any]:
        """Return the required fields, and those with an example or a default other than null.

        If there are none, return all that can be described.
        """
        fields: Mapping[str, JsonSchema] = schema["properties"]
        required = set(schema.get("required", ()))
        shown = {
            name: self.value(field)
            for name, field in fields.items()
            if name in required or any(value is not None for value in _given(field))
        }
        return shown or dict(self._described(fields))

    def _described(self, fields: Mapping[str, JsonSchema]) -> Iterator[tuple[str, Any]]:
        for name, field in fields.items():
            try:
                yield name, self.value(field)
            except Indescribable:
                continue


def _given(schema: JsonSchema) -> Iterator[Any]:
    """Yield the values that the schema itself has, the best one first."""
    if "const" in schema:
        yield schema["const"]
    if "example" in schema:
        yield schema["example"]
    yield from schema.get("examples") or ()
    if "default" in schema:
        yield schema["default"]
    yield from schema.get("enum") or ()


def _resolved(reference: str, document: JsonSchema) -> JsonSchema:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            raise Indescribable
        found = cast("JsonSchema", found)[name]
    return found


def _type_of(schema: JsonSchema) -> str:
    """Return the first type other than null; "" if there is none and the keywords show none."""
    kinds = schema.get("type", "")
    if isinstance(kinds, str):
        return kinds or ("object" if "properties" in schema else "array" if "prefixItems" in schema else "")
    return next((kind for kind in kinds if kind != "null"), "null")


def _is_null(schema: JsonSchema) -> bool:
    return schema.get("type") == "null"


def _text(schema: JsonSchema) -> str:
    form = schema.get("contentEncoding") or schema.get("format")
    if form in _FILES:
        raise Indescribable
    least, most = schema.get("minLength", 0), schema.get("maxLength", MOST_VALUES)
    known = _TEXTS.get(form or "")
    try:
        pattern = re.compile(schema.get("pattern", ""))
    except re.error as fault:  # JavaScript's patterns are not all Python's
        raise Indescribable from fault
    for text in _stretched(least, most) if known is None else (known,):
        if least <= len(text) <= most and pattern.search(text):
            return text
    raise Indescribable


def _stretched(least: int, most: int) -> Iterator[str]:
    """Yield texts of an allowed length: a word, a number, a capital letter."""
    for text in ("text", "1", "A"):
        yield (text * max(1, math.ceil(min(least, MOST_VALUES) / len(text))))[:most]


@dataclass(frozen=True, slots=True)
class _Bound:
    """One end of a range of numbers."""

    at: float
    excluded: bool


def _number(schema: JsonSchema, *, whole: bool) -> float:
    """Return 1 if it is within the bounds, else a number near one of them."""
    low = _bound(schema, "minimum", "exclusiveMinimum", -math.inf)
    high = _bound(schema, "maximum", "exclusiveMaximum", math.inf)
    step = schema.get("multipleOf")
    for number in _candidates(low.at, high.at, step or 1):
        above = low.at < number or (low.at == number and not low.excluded)
        below = number < high.at or (number == high.at and not high.excluded)
        stepped = step is None or math.isclose(number / step, round(number / step))
        if above and below and stepped and (not whole or number == int(number)):
            return number
    raise Indescribable


def _bound(schema: JsonSchema, including: str, excluding: str, none: float) -> _Bound:
    """Return a bound. OpenAPI 3.0 marks one as excluded by a second keyword that is true."""
    excluded = schema.get(excluding, False)
    if isinstance(excluded, bool):
        return _Bound(schema.get(including, none), excluded)
    return _Bound(excluded, excluded=True)


def _candidates(low: float, high: float, step: float) -> Iterator[float]:
    if math.isfinite(low):
        above = (math.floor(low / step) + 1) * step
        numbers = (1, low, above, (low + high) / 2)
    else:
        below = (math.ceil(high / step) - 1) * step if math.isfinite(high) else step
        numbers = (1, high, below, step)
    return (number for number in numbers if math.isfinite(number))
