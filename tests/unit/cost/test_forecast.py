"""The costs until the end of the month."""

from __future__ import annotations

from datetime import UTC, datetime

from gyrus.cost.bucket import HOUR, CostBucket
from gyrus.cost.forecast import remaining_cost, rest_of

MONDAY = int(datetime(2026, 11, 16, tzinfo=UTC).timestamp())


def hour(number: int, cost: int, *, metered: int = 3_600_000) -> CostBucket:
    """Return the bucket of an hour after Monday."""
    return CostBucket(start=MONDAY + number * HOUR, idle=cost, metered=metered)


def forecast(*buckets: CostBucket, start: int, hours: float, present: int = 7) -> int:
    rest = rest_of(MONDAY + start * HOUR, int(MONDAY + (start + hours) * HOUR))
    return remaining_cost(buckets, lambda bucket: (bucket.idle, bucket.metered), rest, present=present)


def test_without_history_each_hour_costs_as_much_as_the_present_one() -> None:
    assert forecast(start=10, hours=3) == 21
    assert forecast(start=10, hours=2.5) == 17


def test_an_hour_costs_as_much_as_a_week_before() -> None:
    week = 7 * 24
    assert forecast(hour(5, 100), hour(6, 300), start=week + 5, hours=2) == 400


def test_an_hour_without_an_earlier_week_costs_the_average_of_the_days_before() -> None:
    assert forecast(hour(5, 100), hour(29, 300), hour(6, 1000), start=53, hours=1) == 200


def test_an_hour_that_was_never_metered_costs_the_average_of_all() -> None:
    assert forecast(hour(5, 100), hour(6, 300), start=7, hours=1) == 200


def test_an_hour_that_was_metered_for_less_than_half_does_not_count() -> None:
    assert forecast(hour(5, 100, metered=1_000_000), start=6, hours=1) == 7


def test_an_hour_that_was_metered_in_part_counts_for_the_whole() -> None:
    assert forecast(hour(5, 100, metered=1_800_000), start=29, hours=1) == 200
