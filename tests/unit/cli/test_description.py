"""Events as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from gyrus.cli.description import event_row, told_as_line
from gyrus.contract.operator import EventView
from gyrus.state.status import rfc3339


def event(count: int, ago: float, first_ago: float | None) -> EventView:
    now = datetime.now(UTC)
    return EventView(
        time=rfc3339(now - timedelta(seconds=ago)),
        api="iris",
        type="warning",
        reason="Killed",
        message="Killed by a signal\nand more",
        replica="iris-1-a",
        count=count,
        first_time=None if first_ago is None else rfc3339(now - timedelta(seconds=first_ago)),
    )


@pytest.mark.parametrize(
    ("shown", "age"),
    [
        (event(1, 5.5, None), "5s"),
        (event(3, 5.5, 605.5), "5s (×3 in 10m)"),
        (event(3, 5.5, None), "5s (×3)"),
    ],
)
def test_repetitions_are_counted_beside_the_age(shown: EventView, age: str) -> None:
    row = [click.unstyle(cell) for cell in event_row(shown)]
    assert row == [age, "Killed", "iris-1-a", "Killed by a signal"]


def test_repetitions_are_counted_in_a_line() -> None:
    line = click.unstyle(told_as_line(event(3, 5, 10)))
    assert line.endswith(" Killed ×3 Killed by a signal")
    assert click.unstyle(told_as_line(event(1, 5, None))).endswith(" Killed Killed by a signal")
