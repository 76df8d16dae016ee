"""The costs until the end of the month, from the same hours of the last week, or of the last days.

An hour of the rest of the month is expected to cost as much as the same hour a week before. If that was not
metered, it is expected to cost the average of the same hour of the last days, else that of all metered hours,
else as much as the present hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gyrus.cost.bucket import HOUR, CostBucket

HOURS_A_WEEK = 7 * 24
"""The week begins as the epoch did, on a Thursday at midnight."""
ENOUGH = 1_800_000
"""Milliseconds of an hour that must be metered for the hour to count."""

Series = Callable[[CostBucket], tuple[int, int]]
"""Returns the costs of a part in a bucket, and the milliseconds for which it was metered."""


def rest_of(now: float, end: int) -> Mapping[int, int]:
    """Return the milliseconds until ``end``, by hour of the week."""
    rest: dict[int, int] = {}
    start, last = int(now * 1000), end * 1000
    while start < last:
        number = start // 1000 // HOUR
        until = min(last, (number + 1) * HOUR * 1000)
        rest[number % HOURS_A_WEEK] = rest.get(number % HOURS_A_WEEK, 0) + until - start
        start = until
    return rest


def remaining_cost(
    hours: Iterable[CostBucket], series: Series, rest: Mapping[int, int], *, present: int
) -> int:
    """Return the expected costs of the time in ``rest``. ``present``: the costs per hour at present.

    ``hours``: the oldest first.
    """
    by_week: dict[int, int] = {}
    day_costs, day_times = [0] * 24, [0] * 24
    for bucket in hours:
        cost, time = series(bucket)
        if bucket.length == HOUR and time >= ENOUGH:
            number = bucket.start // HOUR
            by_week[number % HOURS_A_WEEK] = _per_hour(cost, time)  # the latest one of its kind
            day_costs[number % 24] += cost
            day_times[number % 24] += time
    otherwise = _per_hour(sum(day_costs), sum(day_times)) if any(day_times) else present

    def expected(number: int) -> int:
        if number in by_week:
            return by_week[number]
        time = day_times[number % 24]
        return _per_hour(day_costs[number % 24], time) if time else otherwise

    return sum(expected(number) * milliseconds // (HOUR * 1000) for number, milliseconds in rest.items())


def _per_hour(cost: int, milliseconds: int) -> int:
    return cost * HOUR * 1000 // milliseconds
