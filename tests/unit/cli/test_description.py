"""Events as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import click

from gyrus.cli.description import event_line, events_table, masked
from gyrus.contract.operator import ApiDescription, EventView
from gyrus.contract.times import rfc3339


def event(count: int, ago: float, first_ago: float | None, reason: str = "Killed") -> EventView:
    now = datetime.now(UTC)
    return EventView(
        time=rfc3339(now - timedelta(seconds=ago)),
        api="iris",
        type="warning",
        reason=reason,
        message="Killed by a signal\nand more",
        replica="iris-1-a",
        count=count,
        first_time=None if first_ago is None else rfc3339(now - timedelta(seconds=first_ago)),
    )


def rows(*events: EventView) -> list[list[str]]:
    headers, *lines = click.unstyle(events_table(events)).splitlines()
    assert headers.split() == ["FIRST", "LAST", "COUNT", "REASON", "REPLICA"]
    return [line.split(maxsplit=5) for line in lines]


def test_an_event_has_its_first_and_last_time_and_its_count() -> None:
    day = 86_400
    assert rows(event(1, 3600 * 20.5, None), event(3, 3600 * 5.2, day * 30.5)) == [
        ["30d", "5h12m", "3", "Killed", "iris-1-a", "Killed by a signal"],
        ["20h", "20h", "1", "Killed", "iris-1-a", "Killed by a signal"],
    ]


def test_a_repeated_event_stays_where_it_happened_first() -> None:
    """The store gives it a new id each time, which is later than those of what it caused."""
    reported = rows(
        event(1, 30.5, None, "Started"), event(1, 10.5, None, "Failed"), event(7, 0.5, 20.5, "Init")
    )
    assert [row[3] for row in reported] == ["Started", "Init", "Failed"]


def test_repetitions_are_counted_in_a_line() -> None:
    line = click.unstyle(event_line(event(3, 5, 10)))
    assert line.endswith(" Killed ×3 Killed by a signal")
    assert click.unstyle(event_line(event(1, 5, None))).endswith(" Killed Killed by a signal")


def test_the_values_of_variables_are_masked() -> None:
    nothing = cast(Any, None)
    spec = {"name": "iris", "env": {"TOKEN": "secret"}, "handler": {"config": {"a": "b"}}}
    description = ApiDescription(
        api=nothing, spec=spec, rollout=nothing, replicas=(), traffic=nothing, events=()
    )
    assert masked(description).spec == {**spec, "env": {"TOKEN": "********"}}
    assert description.spec["env"] == {"TOKEN": "secret"}
