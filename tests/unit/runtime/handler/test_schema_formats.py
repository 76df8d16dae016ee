"""Formats that msgspec leaves out, in every place where a type may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest

from gyrus.runtime.handler.validation import check_for

MOMENT = {"type": "string", "format": "date-time"}


class Pair(NamedTuple):
    name: str
    at: datetime


class First(msgspec.Struct, tag=True):
    first_at: datetime


class Second(msgspec.Struct, tag=True, rename="camel"):
    second_at: datetime


@dataclass
class Holder:
    at: datetime | None
    either: First | Second | datetime | None
    next: Holder | None
    local: Annotated[datetime, msgspec.Meta(tz=False)]


def described(hint: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    check = check_for(hint)
    assert check
    return check.schema("#/{name}")


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (datetime, MOMENT),
        (time, {"type": "string", "format": "time"}),
        (list[datetime], {"type": "array", "items": MOMENT}),
        (dict[str, datetime], {"type": "object", "additionalProperties": MOMENT}),
        (datetime | int | None, {"anyOf": [MOMENT, {"type": "integer"}, {"type": "null"}]}),
        (
            tuple[int, datetime],
            {"type": "array", "minItems": 2, "maxItems": 2, "items": False,
             "prefixItems": [{"type": "integer"}, MOMENT]},
        ),
    ],
)  # fmt: skip
def test_of_plain_types(hint: Any, schema: dict[str, Any]) -> None:
    assert described(hint)[0] == schema


def test_of_types_with_fields() -> None:
    _, components = described(list[Holder])
    fields = components["Holder"]["properties"]
    assert fields["at"]["anyOf"][0] == MOMENT
    assert MOMENT in fields["either"]["anyOf"]
    assert fields["local"] == {"type": "string"}  # a time without a zone has no format of JSON Schema
    assert components["First"]["properties"]["first_at"] == MOMENT
    assert components["Second"]["properties"]["secondAt"] == MOMENT
    assert described(Pair)[1]["Pair"]["prefixItems"][1] == MOMENT


def test_a_default_of_the_annotation_stays() -> None:
    hint = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "mine"})]
    assert described(hint)[0]["format"] == "mine"
