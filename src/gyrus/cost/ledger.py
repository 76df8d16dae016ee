"""The costs of this month and of the last one: of the latest days by hour, of earlier ones by day.

The ledger charges the time between two observations as if the cluster had been all that time as the later one
shows it. It charges a gap between two operators likewise if it is short. A longer gap is not charged, and is
counted as not metered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gyrus.cost.bucket import DAY, HOUR, CostBucket, total_costs
from gyrus.cost.division import divided
from gyrus.cost.observation import CostObservation

LONGEST_GAP = 15 * 60_000
"""Milliseconds between two observations that are charged."""
HOURLY_DAYS = 8
"""Days before today that stay divided into hours: a week, and what the forecast compares it with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLedger:
    """All costs that are known."""

    until: int | None = None
    """Milliseconds since the epoch up to which the time is charged. None before the first observation."""
    buckets: Mapping[int, CostBucket] = field(default_factory=dict[int, CostBucket])
    """By start."""
    answered: Mapping[str, int] = field(default_factory=dict[str, int])
    """By API: the gateway's count of its requests at the last observation."""

    def since(self, start: int) -> CostBucket:
        """Return the sum of the buckets that begin at this time or later."""
        return total_costs(bucket for bucket in self.buckets.values() if bucket.start >= start)


def metered(ledger: CostLedger, observed: CostObservation) -> CostLedger:
    """Return the ledger with the costs, and the requests, since the last observation."""
    now = math.floor(observed.at * 1000)
    if ledger.until is not None and now <= ledger.until:  # the clock was set back
        return ledger
    buckets = dict(ledger.buckets)
    if ledger.until is not None:
        for start, milliseconds in _hours(ledger.until, now):
            bucket = buckets.get(start, CostBucket(start=start))
            if now - ledger.until > LONGEST_GAP:
                buckets[start] = bucket.missed(milliseconds)
            else:
                parts = divided(observed, milliseconds)
                buckets[start] = bucket.charged(parts, observed.apis, milliseconds)
    answered = {
        name: ledger.answered.get(name, 0) if use.requests is None else use.requests
        for name, use in observed.apis.items()
    }
    new = _new_requests(ledger.answered, answered) if ledger.until is not None else {}
    if new:
        hour = now // 1000 // HOUR * HOUR
        buckets[hour] = buckets.get(hour, CostBucket(start=hour)).requested(new)
    if buckets.keys() != ledger.buckets.keys():
        buckets = _compacted(buckets.values(), observed.at)
    return CostLedger(until=now, buckets=buckets, answered=answered)


def day_start(at: float) -> int:
    """Return the beginning of the day in UTC."""
    return math.floor(at) // DAY * DAY


def month_start(at: float, months_before: int = 0) -> int:
    """Return the beginning of the month in UTC, or of one before it.

    >>> datetime.fromtimestamp(month_start(1_767_225_600, 1), UTC).isoformat()
    '2025-12-01T00:00:00+00:00'
    """
    first = _first_of_month(datetime.fromtimestamp(at, UTC))
    for _ in range(months_before):
        first = _first_of_month(first - timedelta(days=1))
    return int(first.timestamp())


def month_end(at: float) -> int:
    """Return the end of the month in UTC."""
    first = datetime.fromtimestamp(month_start(at), UTC)
    return int(_first_of_month(first + timedelta(days=31)).timestamp())


def _first_of_month(time: datetime) -> datetime:
    return time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _hours(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the hours of a span of time, and the milliseconds that it has of each."""
    while start < end:
        hour = start // 1000 // HOUR * HOUR
        until = min(end, (hour + HOUR) * 1000)
        yield hour, until - start
        start = until


def _new_requests(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Return the requests since the last observation. A lower count than before is that of a new gateway."""
    new: dict[str, int] = {}
    for name, count in now.items():
        known = before.get(name, 0)  # an API that was not there before is new
        if more := count - known if count >= known else count:
            new[name] = more
    return new


def _compacted(buckets: Iterable[CostBucket], now: float) -> dict[int, CostBucket]:
    """Drop what is older than the last month, and join the hours of earlier days."""
    oldest, hourly = month_start(now, 1), day_start(now) - HOURLY_DAYS * DAY
    kept: dict[int, CostBucket] = {}
    days: dict[int, list[CostBucket]] = {}
    for bucket in buckets:
        if bucket.start < oldest:
            continue
        if bucket.start >= hourly or bucket.length == DAY:
            kept[bucket.start] = bucket
        else:
            days.setdefault(day_start(bucket.start), []).append(bucket)
    for start, hours in days.items():
        known = kept.pop(start, None)
        kept[start] = total_costs([*([known] if known else []), *hours], start=start, length=DAY)
    return kept
