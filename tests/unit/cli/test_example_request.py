"""Example requests: of what handlers and other servers describe."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from fastapi import Body, FastAPI

from gyrus.cli.example_request import JSON, TEXT, ExampleRequest, request_of
from gyrus.contract.replica import HandlerConfig
from gyrus.runtime.handler.loading import make
from gyrus.runtime.handler.openapi import describe
from gyrus.runtime.handler.validation import check_for


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Inner:
    day: date
    colours: list[Colour]


@dataclass
class Data:
    number: float
    whole: int
    flag: bool
    text: str
    inner: Inner
    moment: datetime
    hour: time
    lapse: timedelta
    key: UUID
    price: Decimal
    raw: bytes
    point: Point
    pair: tuple[int, str]
    by_name: dict[str, list[int]]
    by_number: dict[int, datetime]
    choice: Literal["b", "a"]
    perhaps: int | None
    moments: list[datetime | None]
    note: str = "none"
    tags: list[str] = field(default_factory=lambda: ["a"])


class Typed(TypedDict):
    name: str
    size: NotRequired[int]


class Partial(TypedDict, total=False):
    name: str
    size: int


class Circle(msgspec.Struct, tag=True):
    radius: float
    at: datetime


class Square(msgspec.Struct, tag=True):
    side: Annotated[int, msgspec.Meta(gt=3, multiple_of=5)]


class Drawing(msgspec.Struct, rename="camel"):
    top_shape: Circle | Square | None
    line_width: Annotated[float, msgspec.Meta(gt=2, lt=2.5)]
    name: Annotated[str, msgspec.Meta(min_length=6, max_length=7)]
    code: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]


@dataclass
class Tree:
    children: list[Tree]
    value: int
    parent: Tree | None


class Model(pydantic.BaseModel):
    area: float = pydantic.Field(gt=10)
    rooms: int = pydantic.Field(le=0)
    email: str = pydantic.Field(examples=["me@example.com"])
    built: datetime
    weights: list[float] = pydantic.Field(min_length=3)
    size: pydantic.PositiveInt
    price: Decimal
    kind: Literal["flat", "house"]
    inner: dict[str, Inner]
    by_number: dict[int, float]
    by_key: dict[UUID, Colour]


class Shown(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(json_schema_extra={"examples": [{"a": 7}]})
    a: int


def handler_for(hint: Any, **default: Any) -> type[Any]:
    if default:

        def predict(self: object, payload: Any = default["default"]) -> None: ...
    else:

        def predict(self: object, payload: Any) -> None: ...

    if hint is not Any:
        predict.__annotations__["payload"] = hint
    else:
        del predict.__annotations__["payload"]
    return type("Handler", (), {"predict": predict})


def described(handler: type[Any]) -> ExampleRequest | None:
    made = make(handler, HandlerConfig(path=""))
    return request_of(json.loads(describe(made, "iris", 1)))


@pytest.mark.parametrize(
    "hint",
    [
        Data, list[Data], Typed, Partial, Circle, Square, Circle | Square, Drawing, Point, Tree, Model,
        list[Model], Shown, int, float, bool, list[float], dict[str, float], dict[int, str], set[int],
        list[list[float]], datetime, Colour, Annotated[int, msgspec.Meta(lt=-3)], int | None,
        Annotated[list[int], msgspec.Meta(min_length=4)], dict[str, Model],
    ],
)  # fmt: skip
def test_an_annotation_accepts_its_example(hint: Any) -> None:
    request = described(handler_for(hint))
    assert request
    assert (request.method, request.path, request.media_type, request.known) == ("POST", "/", JSON, True)
    assert request.payload not in ({}, [], None)
    check = check_for(hint)
    assert check
    check.json(json.dumps(request.payload).encode())


@dataclass
class Free:
    anything: dict[str, Any]


class Loop(msgspec.Struct):
    loop: Loop


@pytest.mark.parametrize(
    "hint",
    [
        Any, object, "dict", "list", list[Any], dict[str, Any], Free, list[Free], Loop, pydantic.FilePath,
        Annotated[str, msgspec.Meta(pattern="^[a-f]{7}-x$")],
        Annotated[list[int], msgspec.Meta(min_length=5000)],
        Annotated[set[int], msgspec.Meta(min_length=2)],
        Annotated[int, msgspec.Meta(gt=1, lt=2)],
    ],
)  # fmt: skip
def test_a_payload_that_is_not_described_is_not_guessed(hint: Any) -> None:
    assert described(handler_for(hint)) == ExampleRequest(known=False)


def test_defaults_fill_the_example() -> None:
    @dataclass
    class Prompt:
        start: str = "Alice"
        words: int = 12
        seed: int | None = None

    request = described(handler_for(Prompt))
    assert request
    assert request.payload == {"start": "Alice", "words": 12}


def test_optional_fields_of_an_otherwise_empty_object_are_filled() -> None:
    request = described(handler_for(Partial))
    assert request
    assert request.payload == {"name": "text", "size": 1}


def test_own_examples_come_first() -> None:
    request = described(handler_for(Shown))
    assert request
    assert request.payload == {"a": 7}
    annotated = Annotated[float, msgspec.Meta(examples=[5.1])]
    request = described(handler_for(annotated))
    assert request
    assert request.payload == 5.1


def test_text_and_bytes() -> None:
    assert described(handler_for(str)) == ExampleRequest(media_type=TEXT, payload="text", known=True)
    assert described(handler_for(bytes)) == ExampleRequest(media_type="application/octet-stream")


def test_a_handler_without_a_payload_gets_none() -> None:
    class Handler:
        def predict(self) -> None: ...

    assert described(Handler) == ExampleRequest(media_type="", known=True)
    assert described(handler_for(Any, default=None)) == ExampleRequest(media_type="", known=True)


def test_of_a_servers_operations_the_first_complete_one() -> None:
    app = FastAPI()

    @app.get("/health")
    def health() -> None: ...

    @app.post("/files", openapi_extra={"requestBody": {"content": {"multipart/form-data": {}}}})
    def upload() -> None: ...

    @app.post("/users/{name}")
    def user(name: str, body: Shown) -> None: ...

    @app.post("/search")
    def search(query: str, body: Shown) -> None: ...

    @app.post("/any")
    def anything(body: dict[str, Any]) -> None: ...

    @app.post("/predict")
    def predict(body: Annotated[Shown, Body(openapi_examples={"one": {"value": {"a": 9}}})]) -> None: ...

    assert all((health, upload, user, search, anything, predict))
    request = request_of(app.openapi())
    assert request == ExampleRequest(path="/predict", payload={"a": 9}, known=True)


def test_a_server_that_only_answers_get() -> None:
    app = FastAPI()

    @app.get("/words")
    def words() -> None: ...

    assert words
    assert request_of(app.openapi()) == ExampleRequest("GET", "/words", media_type="", known=True)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"paths": {}},
        {"paths": []},
        {"paths": {"/": None}},
        {"paths": {"/": {"post": {"requestBody": 3}}}},
        {"paths": {"/": {"get": {"parameters": 3}}}},
    ],
)
def test_no_openapi_document(document: dict[str, Any]) -> None:
    assert request_of(document) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/components/schemas/Missing"},
        {"$ref": "#/components/schemas/Self"},
        {"$ref": "#/components/schemas/Wide"},
        True,
        {"type": "string", "pattern": "("},
        {"type": "array", "minItems": "many"},
        {"type": "number", "multipleOf": 0},
    ],
)
def test_a_schema_without_an_example_ends(schema: Any) -> None:
    wide = {"type": "object", "properties": {str(n): {"type": "integer"} for n in range(2000)}}
    schemas = {
        "Self": {"$ref": "#/components/schemas/Self"},
        "Wide": {**wide, "required": [*wide["properties"]]},
    }
    body = {"content": {JSON: {"schema": schema}}}
    document = {"paths": {"/": {"post": {"requestBody": body}}}, "components": {"schemas": schemas}}
    request = request_of(document)
    assert request is None or not request.known


def test_references_that_multiply_end_soon() -> None:
    schemas: dict[str, Any] = {
        str(n): {"type": "array", "prefixItems": [{"$ref": f"#/components/schemas/{n + 1}"}] * 10}
        for n in range(100)
    }
    body = {"content": {JSON: {"schema": {"$ref": "#/components/schemas/0"}}}}
    document = {"paths": {"/": {"post": {"requestBody": body}}}, "components": {"schemas": schemas}}
    assert request_of(document) == ExampleRequest(known=False)
    assert sys.getrecursionlimit() > 300  # the schemas above are nested by 100
