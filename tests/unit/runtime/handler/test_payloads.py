from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypedDict

import msgspec
import numpy as np
import pydantic
import pydantic.v1
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.runtime.handler.answers import encode
from gyrus.runtime.handler.forms import File, parse_multipart
from gyrus.runtime.handler.parameters import Headers, query_fields
from gyrus.runtime.handler.payloads import media_type, payload_reader
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.request import Request


def request(body: bytes, content_type: str | None = "application/json", **headers: str) -> Request:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    if content_type is not None:
        named[b"content-type"] = content_type.encode()
    return Request(b"POST", b"/", named, body)


def read(body: bytes, content_type: str | None = "application/json", hint: Any = Any) -> Any:
    return payload_reader(hint)(request(body, content_type))


def refusal(body: bytes, content_type: str | None = "application/json", hint: Any = Any) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as caught:
        read(body, content_type, hint)
    return caught.value.kind.status, caught.value.detail


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "Application/Vnd.x+JSON", {"a": 1}),
        (b'{"a": 1}', "application/x-www-form-urlencoded", {"a": 1}),
        (b'{"a": 1}', None, {"a": 1}),
        (b"\x89PNG", None, b"\x89PNG"),
        (b"\x89PNG", "image/png", b"\x89PNG"),
        (b"gr\xfc\xdfe", "text/plain; charset=latin-1", "grüße"),
        ("grüße".encode(), "text/html", "grüße"),
        (b"a=1&b=2&a=3&c=", "application/x-www-form-urlencoded", {"a": ["1", "3"], "b": "2", "c": ""}),
        (b"", "application/json", None),
        (b"", None, None),
    ],
)
def test_by_content_type(body: bytes, content_type: str | None, payload: Any) -> None:
    assert read(body, content_type) == payload


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reported"),
    [
        (b"{", "application/json", 400, "The body is not JSON: "),
        (b'"\xff"', "application/json", 400, "The body is not JSON: "),
        (b"NaN", "application/json", 400, "The body is not JSON: "),
        (b"[" * 100_000, "application/json", 400, "The body's JSON is nested too deeply; send it flatter."),
        (b"\xff", "text/plain", 400, "The body is not text in utf-8: "),
        (b"x", "text/plain; charset=klingon", 415, "The body's charset klingon is unknown"),
        (b"x", "multipart/form-data", 400, "The form's Content-Type has no valid boundary."),
    ],
)
def test_what_cannot_be_read(body: bytes, content_type: str, status: int, reported: str) -> None:
    found = refusal(body, content_type)
    assert found[0] == status
    assert found[1].startswith(reported)


@pytest.mark.parametrize("hint", [Any, int, dict[str, int], list[Any]])
@pytest.mark.parametrize(
    "number", [2**63, 2**64, -(2**63) - 1, 12345678901234567890123, 10**4000], ids=int.bit_length
)
def test_integers_of_any_size_are_exact(hint: Any, number: int) -> None:
    value: Any = {"a": number} if hint == dict[str, int] else [number] if hint == list[Any] else number
    assert read(json.dumps(value).encode(), hint=hint) == value
    assert read(json.dumps(value).encode(), None, hint=hint) == value


@pytest.mark.parametrize("hint", [Any, int, float, list[float], dict[str, int]])
@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000])
def test_numbers_that_python_does_not_have_are_refused(hint: Any, number: bytes) -> None:
    status, reported = refusal(number, hint=hint)
    assert status == 422
    assert "out of range" in reported


@pytest.mark.parametrize(
    "body", [b"NaN", b"Infinity", b'{"petal": NaN}', b"01", b"+1", b"\xef\xbb\xbf1", b"{'a': 1}"]
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    for hint in (Any, float, *TYPES):
        assert refusal(body, hint=hint)[0] == 400


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "raw-unicode-escape", "punycode", "idna", "utf-7", "hex"]
)
def test_codecs_that_are_not_charsets(charset: str) -> None:
    assert refusal(rb"\ud800", f"text/plain; charset={charset}")[0] == 415


@dataclass
class Flower:
    petal: float
    names: list[str] = field(default_factory=list[str])


class Typed(TypedDict):
    petal: float
    names: list[str]


class Struct(msgspec.Struct):
    petal: float
    names: list[str] = []


class Model(pydantic.BaseModel):
    petal: float
    names: list[str] = []


class OldModel(pydantic.v1.BaseModel):
    petal: float
    names: list[str] = []


@dataclass
class Bouquet:
    flowers: list[Model]
    number: int = 1


@dataclass
class OldBouquet:
    flowers: list[OldModel]


TYPES = [Flower, Typed, Struct, Model, OldModel]


@pytest.mark.parametrize("kind", TYPES)
def test_an_annotated_payload_is_made(kind: Any) -> None:
    payload = read(b'{"petal": 1, "names": ["a"]}', hint=kind)
    expected = {"petal": 1.0, "names": ["a"]}
    assert payload == (expected if kind is Typed else kind(**expected))
    assert type(payload) is (dict if kind is Typed else kind)


@pytest.mark.parametrize("kind", TYPES)
def test_every_fault_has_its_place(kind: Any) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(b'{"petal": "wide", "names": ["a", [2]]}', hint=kind)
    assert caught.value.kind.status == 422
    assert [fault["path"] for fault in caught.value.more["errors"]] == ["$.petal", "$.names[1]"]
    assert "$.petal: " in caught.value.detail
    assert "$.names[1]: " in caught.value.detail


@pytest.mark.parametrize("kind", [*TYPES, list[Flower], dict[str, Model], Flower | None])
def test_annotated_payloads_that_are_something_else(kind: Any) -> None:
    assert refusal(b"7", hint=kind)[0] == 422
    assert refusal(b"{", hint=kind)[0] == 400
    assert refusal(b"{", None, hint=kind)[0] == 400
    assert refusal(b"[" * 100_000, hint=kind)[0] in (400, 422)
    assert refusal(b"\xff", "image/png", hint=kind)[0] == 415


@pytest.mark.parametrize(("kind", "model"), [(Bouquet, Model), (OldBouquet, OldModel)])
def test_models_in_other_types_are_made(kind: Any, model: Any) -> None:
    payload = read(b'{"flowers": [{"petal": 1}]}', hint=kind)
    assert payload.flowers == [model(petal=1.0)]
    with pytest.raises(RequestRefused) as caught:
        read(b'{"flowers": [{"petal": "wide"}]}', hint=kind)
    assert [fault["path"] for fault in caught.value.more["errors"]] == ["$.flowers[0].petal"]


def test_a_missing_field() -> None:
    assert refusal(b"{}", hint=Flower) == (
        422,
        "The payload does not fit: $.petal: the field is missing.",
    )


def test_a_missing_body() -> None:
    assert refusal(b"", hint=Flower)[0] == 422
    assert read(b"", hint=Flower | None) is None


def test_many_faults_are_cut_short() -> None:
    status, reported = refusal(json.dumps(["x"] * 500).encode(), hint=list[int])
    assert status == 422
    assert len(reported) < 1000


def test_a_form_fits_an_annotation() -> None:
    assert read(b"petal=1.5&names=a&names=b", "application/x-www-form-urlencoded", Flower) == Flower(
        1.5, ["a", "b"]
    )


def test_bytes_and_str_are_taken_as_they_come() -> None:
    assert read(b'{"a": 1}', hint=bytes) == b'{"a": 1}'
    assert read(b"plain", "text/plain", hint=str) == "plain"
    assert read(b'"json"', hint=str) == "json"


@pytest.mark.parametrize("kind", [np.ndarray, list[np.ndarray], object])
def test_what_cannot_be_checked_is_not(kind: Any) -> None:
    assert read(b"[1, 2]", hint=kind) == [1, 2]


def multipart(*parts: tuple[str, bytes], boundary: str = "XX") -> bytes:
    reported = b"".join(
        b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head.encode(), body) for head, body in parts
    )
    return reported + f"--{boundary}--\r\n".encode()


def test_multipart() -> None:
    body = multipart(
        ('Content-Disposition: form-data; name="note"', "größe".encode()),
        (
            'content-disposition: form-data; name="image"; filename="a;b.png"\r\nContent-Type: image/png',
            b"\x89\r\n--X\r\n",
        ),
        ("Content-Disposition: form-data; name=note", b"again"),
    )
    assert read(body, 'multipart/form-data; boundary="XX"') == {
        "note": ["größe", "again"],
        "image": File("a;b.png", "image/png", b"\x89\r\n--X\r\n"),
    }


@pytest.mark.parametrize(
    ("head", "content", "found"),
    [
        ("", "größe".encode(), "größe"),
        ("\r\nContent-Type: text/plain; charset=latin-1", "größe".encode("latin-1"), "größe"),
        ('\r\nContent-Type: text/csv; charset="utf-16"', "größe".encode("utf-16"), "größe"),
        ("\r\nContent-Type: application/json", b"{}", "{}"),
        ("\r\nContent-Type: image/png", b"\x89\xff", File("", "image/png", b"\x89\xff")),
        (
            "\r\nContent-Type: application/octet-stream",
            b"text",
            File("", "application/octet-stream", b"text"),
        ),
        (
            "; filename*=UTF-8''gr%C3%B6%C3%9Fe.png",
            b"\xff",
            File("größe.png", "application/octet-stream", b"\xff"),
        ),
    ],
)
def test_a_part_is_text_or_a_file_by_its_header(head: str, content: bytes, found: Any) -> None:
    body = multipart((f'Content-Disposition: form-data; name="a"{head}', content))
    assert parse_multipart(body, "XX") == {"a": found}


@pytest.mark.parametrize(
    ("kind", "status", "reported"),
    [
        ("", 400, "The form's field 'a' is not text in utf-8: "),
        ("\r\nContent-Type: text/plain", 400, "The form's field 'a' is not text in utf-8: "),
        (
            "\r\nContent-Type: text/plain; charset=klingon",
            415,
            "The form's field 'a''s charset klingon is unknown",
        ),
    ],
)
def test_a_part_that_is_not_text_is_refused(kind: str, status: int, reported: str) -> None:
    body = multipart((f'Content-Disposition: form-data; name="a"{kind}', b"\xff"))
    found = refusal(body, "multipart/form-data; boundary=XX")
    assert found[0] == status
    assert found[1].startswith(reported)


def test_the_charset_of_a_form() -> None:
    form = "application/x-www-form-urlencoded"
    assert read(b"a=gr%C3%B6%C3%9Fe", form) == {"a": "größe"}
    assert read(b"a=gr%F6%DFe", f"{form}; charset=latin-1") == {"a": "größe"}
    assert refusal(b"a=%FF", form)[0] == 400
    assert refusal(b"a=\xff", form)[0] == 400
    assert refusal(b"a=1", f"{form}; charset=klingon")[0] == 415


@given(st.dictionaries(st.text("abcxyz", min_size=1), st.binary(max_size=50), min_size=1, max_size=4))
def test_multipart_round_trip(files: dict[str, bytes]) -> None:
    boundary = "----boundary-that-is-not-within"
    parts = [(f'Content-Disposition: form-data; name="{n}"; filename="f"', data) for n, data in files.items()]
    parsed = parse_multipart(multipart(*parts, boundary=boundary), boundary)
    assert {name: file.content for name, file in parsed.items()} == files


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    b"--XX",
                    b"--",
                    b"\r\n",
                    b"\r\n\r\n",
                    b'Content-Disposition: form-data; name="a"',
                    b"\r\n--XX--",
                ]
            ),
            st.binary(max_size=8),
        )
    ).map(b"".join)
)
def test_hostile_forms_are_read_or_refused(body: bytes) -> None:
    with suppress(RequestRefused):  # and nothing else
        assert isinstance(parse_multipart(body, "XX"), dict)


@given(st.text(max_size=60))
def test_any_content_type_can_be_read(text: str) -> None:
    kind, parameters = media_type(text.encode("latin-1", "replace"))
    assert kind == kind.lower()
    assert all(name == name.lower() for name in parameters)


def test_parameters_of_a_content_type() -> None:
    assert media_type(b'Multipart/Form-Data; Boundary="a;\\"b"; x=1') == (
        "multipart/form-data",
        {"boundary": 'a;"b', "x": "1"},
    )


def test_headers_are_found_in_any_case() -> None:
    headers = Headers({b"x-token": b"a", b"accept": b"b"})
    assert headers["X-Token"] == headers.get("x-token") == "a"
    assert "ACCEPT" in headers
    assert headers.get("X-Other") is None
    assert dict(headers) == {"x-token": "a", "accept": "b"}


def test_query() -> None:
    assert query_fields("a=1&b=x%20y&a=2&c") == {"a": ["1", "2"], "b": "x y", "c": ""}


PIECES = [
    b"1e999", b"NaN", b"-0", b"9" * 30, b"9" * 5000, b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\u0000"',
    b"null", b"\xef\xbb\xbf", b"[", b"]", b"{", b"}", b",", b":", b'"a"', b'"petal"', b'"names"', b"\\",
    b"[" * 2000,
    b'{"a":1,"a":2}', b'{"petal":1}', b'{"petal":1,"names":["x"]}', b"1.5", b"[" * 300 + b"]" * 300,
    b'{"a":' * 600 + b"1" + b"}" * 600, b"a=%ff", b"--XX\r\n", b"--XX--\r\n",
    b"Content-Disposition: form-data; name=a",
]  # fmt: skip
KINDS = [
    None, "application/json", "application/json; charset=utf-16", "text/plain",
    "text/plain; charset=undefined",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=XX", "image/png", ";",
    "a/b; charset=\"",
]  # fmt: skip
HINTS: list[Any] = [
    Any, *TYPES, Bouquet, OldBouquet, int, float, str, bytes, dict[str, float], list[Flower], Flower | None,
]  # fmt: skip


@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=5).map(b"".join),
    st.sampled_from(KINDS),
    st.sampled_from(HINTS),
)
def test_odd_bodies_are_read_and_returned_or_refused(body: bytes, kind: str | None, hint: Any) -> None:
    refused: RequestRefused | None = None
    try:
        payload = read(body, kind, hint)
    except RequestRefused as error:
        refused = error
    else:
        if not isinstance(payload, bytes) and "File(" not in repr(payload):
            encode(payload)
    assert refused is None or 400 <= refused.kind.status < 500
    assert refused is None or refused.answer(b"id").body.decode()
