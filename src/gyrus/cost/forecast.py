"""The costs until the end of the month, from the same hours of the last week, or of the last days.

An hour of the rest of the month is expected to cost as much as the same hour a week before. If that was not
metered, it is expected to cost the average of the same hour of the last days, else that of all metered hours,
else as much as the present hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gyrus.cost.bucket import HOUR, CostBucket

HOURS_A_WEEK = 7 * 24
ENOUGH = 1_800_000
"""Milliseconds of an hour that must be metered for the hour to count."""

Series = Callable[[CostBucket], tuple[int, int]]
"""Returns the costs of a part in a bucket, and the milliseconds for which it was metered."""


@dataclass(frozen=True, slots=True)
class _Average:
    cost: int = 0
    time: int = 0

    def plus(self, cost: int, time: int) -> _Average:
        return _Average(self.cost + cost, self.time + time)

    @property
    def per_hour(self) -> int:
        return self.cost * HOUR * 1000 // self.time


def remaining_cost(
    buckets: Iterable[CostBucket], series: Series, *, now: float, end: int, present: int
) -> int:
    """Return the expected costs from now to ``end``. ``present``: the costs per hour at present."""
    by_week: dict[int, _Average] = {}
    by_day: dict[int, _Average] = {}
    everything = _Average()
    for bucket in buckets:
        cost, time = series(bucket)
        if bucket.length != HOUR or time < ENOUGH:
            continue
        number = bucket.start // HOUR
        by_week[number % HOURS_A_WEEK] = _Average(cost, time)  # the latest one, as buckets are in order
        by_day[number % 24] = by_day.get(number % 24, _Average()).plus(cost, time)
        everything = everything.plus(cost, time)

    def expected(number: int) -> int:
        for known in (by_week.get(number % HOURS_A_WEEK), by_day.get(number % 24), everything):
            if known and known.time:
                return known.per_hour
        return present

    return sum(expected(number) * milliseconds // (HOUR * 1000) for number, milliseconds in _rest(now, end))


def _rest(now: float, end: int) -> Iterator[tuple[int, int]]:
    """Yield the hours until the end, and the milliseconds of each that are left."""
    start, last = int(now * 1000), end * 1000
    while start < last:
        number = start // 1000 // HOUR
        until = min(last, (number + 1) * HOUR * 1000)
        yield number, until - start
        start = until
