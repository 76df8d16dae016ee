"""Lines of a schedule on calendars with their odd days."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gyrus.autoscaling.schedule import Schedule
from gyrus.spec.api import ScheduledMinimum

BERLIN = "Europe/Berlin"


def line(cron: str, least: int, zone: str = BERLIN) -> ScheduledMinimum:
    return ScheduledMinimum(cron=cron, min_replicas=least, time_zone=zone)


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def least(schedule: Schedule, text: str) -> int | None:
    turn = schedule.at(at(text))
    return turn.line.min_replicas if turn else None


OFFICE = (line("0 8 * * mon-fri", 5), line("0 20 * * *", 1))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2025-11-20T07:59:59.9", 1),
        ("2025-11-20T08:00", 5),
        ("2025-11-20T19:59:59", 5),
        ("2025-11-20T20:00", 1),
        ("2025-11-22T12:00", 1),
        ("2025-11-24T08:00", 5),
    ],
)
def test_the_line_whose_time_came_last_holds(moment: str, expected: int) -> None:
    assert least(Schedule(OFFICE), moment) == expected


def test_it_turns_on_time_when_asked_all_the_while() -> None:
    schedule, now = Schedule(OFFICE), at("2025-11-20T07:58")
    turns = [schedule.at(now + second) for second in range(240)]
    assert [turn.line.min_replicas for turn in turns if turn] == [1] * 120 + [5] * 120


def test_hours_are_those_of_the_wall_when_summer_time_begins_and_ends() -> None:
    schedule = Schedule([line("30 2 * * *", 7), line("0 12 * * *", 1)])
    assert least(schedule, "2026-03-29T01:59:59") == 1
    assert least(schedule, "2026-03-29T03:00") == 7, "02:30 does not exist: it is made up for"
    assert least(schedule, "2026-10-25T02:30") == 7
    assert at("2026-03-30T08:00") - at("2026-03-29T08:00") == 24 * 3600
    morning = Schedule(OFFICE)
    assert least(morning, "2026-03-27T08:00") == 5
    assert least(morning, "2026-03-30T07:59") == 1
    assert least(morning, "2026-03-30T08:00") == 5


def test_zones_are_each_line_s_own() -> None:
    schedule = Schedule([line("0 8 * * *", 3, "Asia/Tokyo"), line("0 8 * * *", 9, "UTC")])
    assert least(schedule, "2025-11-20T00:30") == 3
    assert least(schedule, "2025-11-20T09:30") == 9


def test_of_two_at_one_time_the_later_line_holds() -> None:
    assert least(Schedule([line("0 8 * * *", 3), line("0 8 * * *", 2)]), "2025-11-20T09:00") == 2


def test_without_lines_there_is_no_minimum() -> None:
    assert Schedule([]).at(0.0) is None


def test_a_clock_that_is_set_back_is_believed() -> None:
    schedule = Schedule(OFFICE)
    assert least(schedule, "2025-11-20T09:00") == 5
    assert least(schedule, "2025-11-20T07:00") == 1
