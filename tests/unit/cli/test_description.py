"""Events as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from gyrus.cli.description import event_line, event_row
from gyrus.contract.operator import EventView
from gyrus.contract.times import rfc3339


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
    ("count", "first_ago", "age"),
    [(1, None, "20h"), (3, 86_400 * 30.5, "20h (×3 in 30d)"), (3, None, "20h (×3)")],
)
def test_repetitions_are_counted_beside_the_age(count: int, first_ago: float | None, age: str) -> None:
    row = [click.unstyle(cell) for cell in event_row(event(count, 3600 * 20.5, first_ago))]
    assert row == [age, "Killed", "iris-1-a", "Killed by a signal"]


def test_repetitions_are_counted_in_a_line() -> None:
    line = click.unstyle(event_line(event(3, 5, 10)))
    assert line.endswith(" Killed ×3 Killed by a signal")
    assert click.unstyle(event_line(event(1, 5, None))).endswith(" Killed Killed by a signal")
