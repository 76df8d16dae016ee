from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.spec.quantities import (
    format_duration,
    parse_cores,
    parse_duration,
    parse_memory,
    parse_share,
    share_of,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1m30s", 90_000), ("0.1s", 100),
     ("1.5h", 5_400_000), ("0s", 0)],
)  # fmt: skip
def test_durations(text: str, milliseconds: int):
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "is not a duration"),
        ("5", "is not a duration"),
        ("5 s", "is not a duration"),
        ("-5s", "is not a duration"),
        ("5sec", "is not a duration"),
        ("٥s", "is not a duration"),
        (True, "is not a duration"),
        (None, "is not a duration"),
        (5, "has no unit; write for example 5s"),
        (0.25, "has no unit; write for example 1s"),
        ("0.5ms", "is finer than a millisecond"),
        ("999999999999h", "is too long"),
    ],
)
def test_what_is_no_duration(value: Any, message: str):
    with pytest.raises(ValueError, match=message):
        parse_duration(value)


@given(st.integers(0, 10**12).map(lambda n: timedelta(milliseconds=n)))
def test_durations_survive_writing(duration: timedelta):
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("value", "size"),
    [("512Mi", 512 * 2**20), ("1Gi", 2**30), ("1.5G", 1_500_000_000), ("2000k", 2_000_000), (2**20, 2**20),
     ("128e6", 128_000_000), ("1Ti", 2**40)],
)  # fmt: skip
def test_memory(value: Any, size: int):
    assert parse_memory(value) == size


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("512MB", "is not an amount of memory"),
        ("lots", "is not an amount of memory"),
        (1.5, "is not an amount of memory"),
        (True, "is not an amount of memory"),
        (512, "is out of range: 1Mi to 1Pi; write for example 512Mi"),
        (-1, "is out of range"),
        ("9999e99", "is out of range"),
    ],
)
def test_what_is_no_memory(value: Any, message: str):
    with pytest.raises(ValueError, match=message):
        parse_memory(value)


@pytest.mark.parametrize(("value", "cores"), [("200m", 0.2), (2, 2), (0.5, 0.5), ("1.5", 1.5), (0, 0)])
def test_cores(value: Any, cores: float):
    assert parse_cores(value) == cores


@pytest.mark.parametrize("value", ["two", "0.5m", "1 core", None, True, -1, "2000", [1]])
def test_what_is_no_cpu(value: Any):
    with pytest.raises(ValueError, match="write for example 200m"):
        parse_cores(value)


@pytest.mark.parametrize(
    ("share", "total", "up", "down"), [("25%", 10, 3, 2), ("100%", 3, 3, 3), (2, 1, 2, 2), ("1%", 1, 1, 0)]
)
def test_shares(share: int | str, total: int, up: int, down: int):
    assert share_of(parse_share(share), total, up=True) == up
    assert share_of(parse_share(share), total, up=False) == down


@pytest.mark.parametrize("value", ["101%", "-1%", -1, True, "1", "1.5%", None])
def test_what_is_no_share(value: Any):
    with pytest.raises(ValueError, match="is neither a count nor a share"):
        parse_share(value)
