"""Spans of time on the command line."""

from __future__ import annotations

import click
import pytest

from gyrus.cli.durations import DurationType


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0)]
)
def test_what_is_a_span(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "-1", "soon", "5 m", "5m!", "inf"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write for example 90, 90s or 5m"):
        DurationType().convert(text, None, None)
