from __future__ import annotations

import datetime
import enum
import json
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pydantic
import pytest

from gyrus import Response
from gyrus.runtime.handler.answers import Streaming, encode
from gyrus.runtime.handler.json_encoding import BadAnswer
from gyrus.runtime.handler.streams import framing_for
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.request import Request


@dataclass
class Point:
    x: float


class Model(pydantic.BaseModel):
    at: datetime.date


class Struct(msgspec.Struct):
    x: int


class Colour(enum.Enum):
    RED = "red"


def body(value: Any) -> Any:
    answer = encode(value)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.media_type) == (200, "application/json")
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        (True, True),
        ({"a": [1, 2.5]}, {"a": [1, 2.5]}),
        ({1: "one", Colour.RED: 2}, {"1": "one", "red": 2}),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        (np.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
        (np.array(5), 5),
        ({"a": np.array(["x", "y"])}, {"a": ["x", "y"]}),
        (float("nan"), None),
        (Point(1.5), {"x": 1.5}),
        ([Model(at=datetime.date(2026, 1, 2))], [{"at": "2026-01-02"}]),
        ({"s": Struct(3)}, {"s": {"x": 3}}),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({1, 2}, [1, 2]),
        ((1, 2), [1, 2]),
        (PurePosixPath("/a"), "/a"),
    ],
)
def test_json(value: Any, sent: Any) -> None:
    assert body(value) == sent


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("hi", Answer(200, "text/plain; charset=utf-8", b"hi")),
        (b"hi", Answer(200, "application/octet-stream", b"hi")),
        (bytearray(b"hi"), Answer(200, "application/octet-stream", b"hi")),
        (Response({"a": 1}, 404), Answer(404, "application/json", b'{"a":1}')),
        (Response(status=204), Answer(204, None, b"")),
        (Response("<p>", media_type="text/html"), Answer(200, "text/html", b"<p>")),
        (Response(b"x", headers={"Content-Type": "image/png"}), Answer(200, "image/png", b"x")),
        (
            Response("x", headers={"X-A": "b", "X-Gyrus-Requeue": "1", "x-gyrus-new": "1"}),
            Answer(200, "text/plain; charset=utf-8", b"x", (("x-a", "b"),)),
        ),
    ],
)
def test_other_bodies(value: Any, answer: Answer) -> None:
    assert encode(value) == answer


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        (Response("x", status=99), "the status 99 is not a number from 200 to 599"),
        (Response("x", status="200"), "the status '200' is not a number"),  # pyright: ignore[reportArgumentType] -- users do
        (Response("x", headers={"X A": "b"}), "'x a' is not a header's name"),
        (Response("x", headers={"X": "a\r\nSet-Cookie: b"}), "the header x has a control character"),
        (Response("x", media_type="a\r\nb"), "the header content-type has a control character in its value"),
        (Response("x", headers={"X": "日本"}), "the header x has '日' in its value; encode it"),
        (Response("x", headers={"Content-Length": "1"}), "the header content-length is written by"),
        (Response(Response("x")), "a Response is the body of another Response; return it alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent(value: Any, reported: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        encode(value)
    assert str(caught.value).startswith(reported)


def test_recursion_is_no_crash() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(BadAnswer, match=r"contains itself"):
        encode(endless)


@pytest.mark.parametrize(
    ("items", "accept", "media_type", "sent"),
    [
        ([b"a", "b"], "*/*", "application/octet-stream", b"ab"),
        (["a", b"b"], "*/*", "text/plain; charset=utf-8", b"ab"),
        (["a\nb", "c"], "text/event-stream", "text/event-stream", b"data: a\ndata: b\n\ndata: c\n\n"),
        ([{"a": 1}, "b"], "*/*", "text/event-stream", b'data: {"a":1}\n\ndata: b\n\n'),
        ([1, np.float32(0.5)], "application/x-ndjson", "application/x-ndjson", b"1\n0.5\n"),
    ],
)
def test_frames(items: list[Any], accept: str, media_type: str, sent: bytes) -> None:
    request = Request(b"POST", b"/", {b"accept": accept.encode()})
    framing = framing_for(Streaming(iter(items)), items[0], request)
    assert framing.media_type == media_type
    assert b"".join(map(framing.frame, items)) == sent


def test_an_item_that_does_not_fit_its_stream() -> None:
    framing = framing_for(Streaming(iter("a")), "a", Request(b"POST", b"/", {}))
    with pytest.raises(
        BadAnswer, match="a stream of text/plain; charset=utf-8 cannot have an item of type dict"
    ):
        framing.frame({})


@pytest.mark.parametrize("stream", [iter([1]), (x for x in [1]), map(str, [1])])
def test_iterators_are_streams(stream: Any) -> None:
    assert isinstance(encode(stream), Streaming)
