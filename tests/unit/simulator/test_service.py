"""Service times: as written, as drawn, as in the trace."""

from __future__ import annotations

from random import Random
from statistics import fmean, median

import pytest

from gyrus.simulator.service import (
    Column,
    Exponential,
    Fixed,
    Lognormal,
    ServiceTimes,
    parse_service,
    parse_spread,
)
from gyrus.simulator.trace import Trace


def trace(number: int = 2, **columns: tuple[str, ...]) -> Trace:
    return Trace("t.csv", 0.0, tuple(map(float, range(number))), columns)


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("120ms", Fixed(0.12)),
        ("0.5ms", Fixed(0.0005)),
        (" 1m30s ", Fixed(90)),
        ("lognormal(120ms, 0.5)", Lognormal(0.12, 0.5)),
        ("lognormal(1s,0)", Lognormal(1, 0)),
        ("exponential(2s)", Exponential(2)),
        ("column", Column()),
        ("column:Tokens", Column("Tokens")),
        ("column:Tokens*20ms", Column("Tokens", 0.02)),
    ],
)
def test_what_can_be_written(text: str, service: ServiceTimes) -> None:
    assert parse_service(text) == service


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "is not a time"),
        ("120", "is not a time; write for example 120ms"),
        ("-1s", "is not a time"),
        ("columns", "is not a time"),
        ("column:T*20", "has no unit for the column"),
        ("column:*20ms", "has no unit for the column"),
        ("lognormal(120ms)", "a median and the deviation"),
        ("lognormal(120ms, -1)", "a median and the deviation"),
        ("normal(1s, 2)", "is not a distribution"),
        ("exponential(5)", "is not a distribution"),
    ],
)
def test_what_cannot(text: str, reported: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_service(text)
    assert reported in str(raised.value)


def test_a_start_depends_on_no_trace() -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_spread("column")
    assert parse_spread("8s").draw(Random(1)) == 8


def test_drawn_times_follow_their_distribution_and_their_seed() -> None:
    many = trace(40_000)
    lognormal = parse_service("lognormal(120ms, 0.5)")
    assert median(lognormal.times(many, 1)) == pytest.approx(0.12, rel=0.02)
    assert fmean(lognormal.times(many, 1)) == pytest.approx(0.12 * 2.718281828 ** (0.5**2 / 2), rel=0.02)
    assert fmean(parse_service("exponential(2s)").times(many, 1)) == pytest.approx(2, rel=0.02)
    assert lognormal.times(many, 1) == lognormal.times(many, 1)
    assert lognormal.times(many, 1) != lognormal.times(many, 2)


def test_a_column_of_times_comes_before_tokens() -> None:
    tokens = trace(GeneratedTokens=("10", "50"))
    assert Column().times(tokens, 1) == [0.2, 1.0]
    both = trace(GeneratedTokens=("10", "50"), Duration=("120ms", "0.5"))
    assert Column().times(both, 1) == [0.12, 0.5]
    assert Column("generatedtokens", 0.01).times(both, 1) == [0.1, 0.5]


@pytest.mark.parametrize(
    ("column", "reported"),
    [
        (Column("Tokens"), "t.csv has no column Tokens; it has words"),
        (Column(), "t.csv has none of the columns service_time, duration, GeneratedTokens"),
        (Column("words"), "column words of t.csv holds 'many'"),
        (Column("words", 0.02), "column words of t.csv holds 'many', which is not a number"),
    ],
)
def test_a_column_without_durations(column: Column, reported: str) -> None:
    with pytest.raises(ValueError) as raised:
        column.times(trace(words=("many", "few")), 1)
    assert reported in str(raised.value)
