from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pydantic

from gyrus.contract.replica import HandlerConfig
from gyrus.runtime.handler.loading import make
from gyrus.runtime.handler.openapi import describe


@dataclass
class Flower:
    """A flower, measured."""

    petal: float
    name: str = "?"


class Model(pydantic.BaseModel):
    flowers: list[Flower]


@dataclass
class Answer:
    species: str


def document(handler: type[Any], *, batch: int = 1) -> Any:
    made = make(handler, HandlerConfig(path="", batch_max_size=batch))
    return json.loads(describe(made, "iris", 3))


def test_a_dataclass_is_described() -> None:
    class Handler:
        def predict(self, payload: Flower) -> Answer:
            """Names a flower.

            By its petal."""
            return Answer(payload.name)

    reported = document(Handler)
    assert reported["openapi"] == "3.1.0"
    assert reported["info"] == {"title": "iris", "version": "3"}
    assert reported["servers"] == [{"url": "."}]
    assert list(reported["paths"]["/"]) == ["post"]
    operation = reported["paths"]["/"]["post"]
    assert (operation["summary"], operation["description"]) == ("Names a flower.", "By its petal.")
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Flower"}
    assert reported["components"]["schemas"]["Flower"] == {
        "title": "Flower",
        "description": "A flower, measured.",
        "type": "object",
        "properties": {"petal": {"type": "number"}, "name": {"type": "string", "default": "?"}},
        "required": ["petal"],
    }
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Answer"}
    assert operation["responses"]["422"]["content"]["application/problem+json"]


def test_pydantic_describes_its_own() -> None:
    class Handler:
        def predict(self, payload: Model) -> None: ...

    reported = document(Handler)
    schema = reported["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["flowers"]["items"] == {"$ref": "#/components/schemas/Flower"}
    assert reported["components"]["schemas"]["Flower"]["required"] == ["petal"]


def test_of_a_batch_one_payload_is_described() -> None:
    class Handler:
        def predict(self, payload: list[Flower]) -> list[Answer]:
            return []

    operation = document(Handler, batch=4)["paths"]["/"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Flower"}
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Answer"}


def test_what_is_not_annotated_is_anything() -> None:
    class Handler:
        def predict(self, payload, query_params): ...  # type: ignore[no-untyped-def]  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType] -- as users write

    operation = document(Handler)["paths"]["/"]["post"]
    assert operation["requestBody"]["content"] == {"application/json": {"schema": {}}}


def test_without_a_payload_get_is_answered() -> None:
    class Handler:
        def predict(self) -> str:
            return "x"

    paths = document(Handler)["paths"]["/"]
    assert set(paths) == {"get", "post"}
    assert "requestBody" not in paths["post"]
