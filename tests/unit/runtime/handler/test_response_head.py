from __future__ import annotations

from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from gyrus import Response
from gyrus.runtime.handler.answers import encode
from gyrus.runtime.handler.json_encoding import BadAnswer
from gyrus.runtime.handler.response_head import MOST_HEADER_BYTES, MOST_HEADERS
from gyrus.runtime.server.answer import Answer, Head, head_bytes


def encoded(response: Response) -> Answer:
    answer = encode(response)
    assert isinstance(answer, Answer)
    return answer


def refusal(response: Response) -> str:
    with pytest.raises(BadAnswer) as caught:
        encode(response)
    return str(caught.value)


@pytest.mark.parametrize("status", [418, HTTPStatus.IM_A_TEAPOT, np.int64(418), np.uint16(418)])
def test_a_status_of_any_type_of_integer(status: Any) -> None:
    answer = encoded(Response("x", status))
    assert answer.status == 418
    assert type(answer.status) is int


@pytest.mark.parametrize(
    "status", [418.0, np.float64(418), True, np.True_, "418", None, 99, 600, -200, 2**70]
)
def test_other_statuses_are_refused(status: Any) -> None:
    assert refusal(Response("x", status)).startswith(f"the status {status!r} is not a number from 200 to 599")


def test_a_refused_status_affects_no_other_answer() -> None:
    refusal(Response("x", 418.0))  # pyright: ignore[reportArgumentType] -- users do
    answer = encoded(Response("x", 418))
    head = head_bytes(Head(answer.status, answer.media_type), b"", b"id", 0.0, close=False)
    assert head.startswith(b"HTTP/1.1 418 I'm a Teapot\r\n")


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (3, ["3"]),
        (np.int64(3), ["3"]),
        (0.5, ["0.5"]),
        (np.float64(0.5), ["0.5"]),
        (["a=1; Path=/", "b=2"], ["a=1; Path=/", "b=2"]),
        ((1, "b"), ["1", "b"]),
        ([], []),
        (np.str_("text"), ["text"]),
    ],
)
def test_values_of_headers(value: Any, lines: list[str]) -> None:
    assert encoded(Response("x", headers={"X-A": value})).headers == tuple(("x-a", line) for line in lines)


@pytest.mark.parametrize("value", [None, True, b"x", {"a": 1}, [["a"]], 1j])
def test_a_refused_value_names_its_header_and_type(value: Any) -> None:
    found = refusal(Response("x", headers={"X-Count": value}))
    kind = "list" if isinstance(value, list) else type(value).__name__
    assert found == (
        f"the header x-count has a value of type {kind}; it must be text, a number, or a list of these"
    )


@pytest.mark.parametrize(
    ("headers", "reported"),
    [
        ({3: "a"}, "the name 3 of a header is a int; it must be text"),
        ({b"x": "a"}, "the name b'x' of a header is a bytes"),
        ([("x", "a")], "the headers are a list; give a dict of names and values"),
        ({"X": ["a", "b\r\nc: d"]}, "the header x has a control character in its value"),
        ({"X": "\ud800"}, "the header x has '\\ud800' in its value; encode it"),
        ({"Content-Type": ["a/b", "c/d"]}, "the header content-type has several values; give it one"),
        ({"Content-Length": 3}, "the header content-length is written by the server; leave it out"),
    ],
)
def test_headers_that_cannot_be_sent(headers: Any, reported: str) -> None:
    assert refusal(Response("x", headers=headers)).startswith(reported)


def test_the_number_of_headers_is_limited() -> None:
    names = [f"x-{number}" for number in range(MOST_HEADERS + 1)]
    assert len(encoded(Response("x", headers=dict.fromkeys(names[1:], "a"))).headers) == MOST_HEADERS
    reported = f"it has {MOST_HEADERS + 1} headers, and the limit is {MOST_HEADERS}; send fewer"
    assert refusal(Response("x", headers=dict.fromkeys(names, "a"))) == reported
    assert refusal(Response("x", headers={"set-cookie": names})) == reported


def test_the_size_of_headers_is_limited() -> None:
    size = MOST_HEADER_BYTES - len("x-a")
    assert encoded(Response("x", headers={"x-a": "a" * size}))
    reported = f"its headers have {MOST_HEADER_BYTES + 1} bytes, and the limit is {MOST_HEADER_BYTES}"
    assert refusal(Response("x", headers={"x-a": "a" * (size + 1)})).startswith(reported)
    assert "the limit is" in refusal(Response("x", media_type="a" * (MOST_HEADER_BYTES + 1)))
