from __future__ import annotations

import datetime
import enum
import ipaddress
import json
import re
import types
import uuid
from collections import ChainMap, Counter, UserDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pydantic
import pydantic.v1
import pytest

from gyrus.runtime.handler.json_encoding import BadAnswer, place_of, to_json

HUGE = 12345678901234567890123


class Odd:
    pass


ODD = f"{Odd.__module__}.Odd"


class Pair(NamedTuple):
    a: int
    b: list[int]


class Huge(int):
    """An integer that pytest can show."""

    def __repr__(self) -> str:
        return "huge"


class Float(float):
    pass


class Level(enum.IntEnum):
    LOW = 3


@dataclass
class Holder:
    inner: Any


class Struct(msgspec.Struct, rename="camel"):
    inner_value: Any


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    inner: Any
    secret: pydantic.SecretStr = pydantic.SecretStr("hidden")
    named: int = pydantic.Field(1, alias="Named")


class OldModel(pydantic.v1.BaseModel):
    at: datetime.date
    named: int = pydantic.v1.Field(1, alias="Named")


class NaTType(datetime.datetime):
    """pandas' type of a missing date, as far as the encoder can see it."""


class Timestamp(datetime.datetime):
    """pandas' type of a date is a subclass like this."""


class Frame:
    columns = ("a",)

    def to_dict(self, orient: str) -> list[dict[str, int]]:
        assert orient == "records"
        return [{"a": 1}, {"a": 2}]


PYTHON: list[tuple[Any, str]] = [
    (Decimal("0.10"), "0.10"),
    (Decimal("1E+400"), "1E+400"),
    ([Decimal("NaN"), Decimal("Infinity")], "[null,null]"),
    (datetime.timedelta(minutes=1, milliseconds=500), "60.5"),
    (Pair(1, [2]), "[1,[2]]"),
    (deque([1]), "[1]"),
    ({"k": {1: 2}.keys(), "v": {1: 2}.values(), "r": range(2)}, '{"k":[1],"v":[2],"r":[0,1]}'),
    ([UserDict(a=1), ChainMap({"b": 2}), types.MappingProxyType({"c": 3})], '[{"a":1},{"b":2},{"c":3}]'),
    (Counter("aab"), '{"a":2,"b":1}'),
    (b"text", '"text"'),
    ([bytearray(b"a"), memoryview(b"b"), np.bytes_(b"c")], '["a","b","c"]'),
    ({"path": PurePosixPath("/a")}, '{"path":"/a"}'),
    (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
    (re.compile("a+"), '"a+"'),
    (Float(1.5), "1.5"),
    (Level.LOW, "3"),
    (frozenset({Level.LOW}), "[3]"),
    (Timestamp(2024, 1, 2, 3, 4, 5), '"2024-01-02T03:04:05"'),
    (NaTType(2024, 1, 2), "null"),
    (Frame(), '[{"a":1},{"a":2}]'),
    ({"items": (n for n in (1, HUGE))}, '{"items":[1,12345678901234567890123]}'),
    ([map(str, [1])], '[["1"]]'),
    (pydantic.SecretStr("hidden"), '"**********"'),
]


@pytest.mark.parametrize(("value", "sent"), PYTHON)
def test_types_of_python(value: Any, sent: str) -> None:
    assert to_json(value).decode() == sent


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.timedelta64(1500, "ms"), "1.5"),
        (np.array([1, 2], "m8[s]"), "[1.0,2.0]"),
        (np.array(["NaT"], "m8[ns]"), "[null]"),
        (np.datetime64("NaT"), "null"),
        (np.array(["2024-01-02", "NaT"], "M8[ns]")[::-1], '[null,"2024-01-02T00:00:00"]'),
        (np.longdouble(1.5), "1.5"),
        (np.array([1.5], np.longdouble), "[1.5]"),
        (np.array([b"x", b"y"]), '["x","y"]'),
        (np.array([{"a": np.int64(1)}], object), '[{"a":1}]'),
        (np.array([np.nan, np.inf]), "[null,null]"),
        (dict(zip(*np.unique([1, 1, 2], return_counts=True), strict=True)), '{"1":2,"2":1}'),
    ],
)
def test_types_of_numpy(value: Any, sent: str) -> None:
    assert to_json(value).decode() == sent


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Model(inner=Decimal("1.10"), Named=1), '{"inner":"1.10","secret":"**********","Named":1}'),
        (Model(inner=np.arange(2), Named=1), '{"inner":[0,1],"secret":"**********","Named":1}'),
        ([OldModel(at=datetime.date(2024, 1, 2), Named=1)], '[{"at":"2024-01-02","Named":1}]'),
        (Struct(np.arange(2)), '{"innerValue":[0,1]}'),
        (Struct(Decimal("1.0")), '{"innerValue":1.0}'),
        (Struct({np.int64(1): HUGE}), '{"innerValue":{"1":12345678901234567890123}}'),
        (Holder([Struct(datetime.timedelta(seconds=1))]), '{"inner":[{"innerValue":1.0}]}'),
        (Holder(HUGE), '{"inner":12345678901234567890123}'),
    ],
)
def test_models(value: Any, sent: str) -> None:
    assert to_json(value).decode() == sent


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, HUGE, 10**4000], ids=int.bit_length)
def test_integers_of_any_size_are_exact(number: int) -> None:
    assert json.loads(to_json({"a": [number, "b"]})) == {"a": [number, "b"]}


def test_keys_become_text() -> None:
    day = datetime.date(2024, 1, 2)
    keys: dict[Any, int] = {
        np.float32(0.5): 1, True: 2, None: 3, Decimal("1.50"): 4, day: 5, b"x": 6, np.str_("q"): 7,
        PurePosixPath("/a"): 8, Level.LOW: 9, HUGE: 10, uuid.UUID(int=1): 11,
    }  # fmt: skip
    assert list(json.loads(to_json(keys))) == [
        "0.5", "true", "null", "1.50", "2024-01-02", "x", "q", "/a", "3", str(HUGE), str(uuid.UUID(int=1)),
    ]  # fmt: skip


def test_an_answer_of_any_depth() -> None:
    value: Any = []
    for _ in range(3000):
        value = [value]
    assert to_json(value) == b"[" * 3001 + b"]" * 3001


def lone_surrogate(place: str) -> str:
    return f"the value at {place} has '\\ud800' at character 1, half of a surrogate pair"


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        (
            {"rows": [1, 2, 3, {"when": Odd()}]},
            f"the value at $.rows[3].when is of type {ODD}, which JSON does not have; use numbers, text, ",
        ),
        ({"a b": {1: [1 + 2j]}}, "the value at $['a b'][1][0] is of type complex, which JSON does not have"),
        ({"a": {(1, 2): 3}}, "the value at $.a[(1, 2)] has a key of type tuple; use text or numbers as keys"),
        ([b"\xff"], "the value at $[0] is bytes that are not UTF-8; encode them as text, for "),
        ([Huge(10**5000)], "the value at $[0] is an integer of more than 4300 digits; send it as text"),
        ({"a": ["x\ud800"]}, lone_surrogate("$.a[0]")),
        ({"a": {"x\ud800": 1}}, lone_surrogate("$.a['x\\ud800']")),
        (Holder({"a": [Struct(Odd())]}), f"the value at $.inner.a[0].innerValue is of type {ODD}"),
        (Model(inner=Odd(), Named=1), f"the value at $.inner is of type {ODD}"),
        (np.array([Odd()], object), f"the value at $[0] is of type {ODD}"),
        ([Odd], "the value at $[0] is of type type, which JSON does not have"),
        ([Model], "the value at $[0] is of type pydantic."),
        (print, "the value at $ is of type builtin_function_or_method, which JSON does not have"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place_and_the_type(value: Any, reported: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        to_json(value)
    assert str(caught.value).startswith(reported)


def in_a_list() -> Any:
    value: list[Any] = []
    value.append({"a": value})
    return value


def in_itself() -> Any:
    class Endless:
        def tolist(self) -> Any:
            return [Endless()]

    return Endless()


def as_itself() -> Any:
    class Same:
        def to_list(self) -> Any:
            return self

    return Same()


@pytest.mark.parametrize("value", [in_a_list, in_itself, as_itself])
def test_values_without_an_end(value: Callable[[], Any]) -> None:
    with pytest.raises(BadAnswer, match=r"^the value at \$.* (contains itself|which JSON does not have)"):
        to_json(value())


def test_a_conversion_that_fails_names_the_place() -> None:
    class Lazy:
        def tolist(self) -> Any:
            raise RuntimeError("no gradient")

    with pytest.raises(BadAnswer, match=r"value at \$\.x is of type .*Lazy, which cannot be converted: Run"):
        to_json({"x": Lazy()})


def test_a_shared_value_is_no_cycle() -> None:
    shared: list[Any] = [HUGE]
    assert json.loads(to_json([shared, shared])) == [[HUGE], [HUGE]]


def test_iterators_are_not_consumed_before_a_second_attempt() -> None:
    def numbers() -> Iterator[int]:
        yield from (1, 2)

    assert to_json({1: numbers(), "b": HUGE}) == b'{"1":[1,2],"b":12345678901234567890123}'


def test_places() -> None:
    assert place_of(None) == "$"
    assert place_of((((None, "a"), 0), "b c")) == "$.a[0]['b c']"
