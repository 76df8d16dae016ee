"""The durations of requests, as a distribution that can be merged with another one. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Latencies:
    """A distribution, given by some of its quantiles and straight lines between them."""

    count: int = 0
    points: tuple[tuple[float, float], ...] = ()
    """Percent of the requests, and the most milliseconds that they took; both ascending."""

    def at(self, percent: float) -> float | None:
        """Return the milliseconds of one quantile. Returns None if it was not measured."""
        return next((value for known, value in self.points if known == percent), None)


def merged(parts: Iterable[Latencies]) -> Latencies:
    """Return the distribution of all requests together. A single part stays as it is."""
    known = [part for part in parts if part.count and part.points]
    if len(known) < 2:
        return known[0] if known else Latencies()
    total = sum(part.count for part in known)
    values = sorted({value for part in known for _, value in part.points})
    curve = [(sum(part.count * _percent(part, value) for part in known) / total, value) for value in values]
    percents = sorted({percent for part in known for percent, _ in part.points})
    return Latencies(total, tuple((percent, _value(curve, percent)) for percent in percents))


def _percent(part: Latencies, value: float) -> float:
    """Return the percent of this part's requests that took at most these milliseconds."""
    after = bisect_right([known for _, known in part.points], value)
    if after == 0:
        return 0.0
    if after == len(part.points):
        return 100.0
    (low, start), (high, end) = part.points[after - 1], part.points[after]
    return low + (high - low) * (value - start) / (end - start)


def _value(curve: list[tuple[float, float]], percent: float) -> float:
    """Return the milliseconds at which the curve reaches this percent."""
    if curve[0][0] >= percent:
        return curve[0][1]
    for (low, start), (high, end) in pairwise(curve):
        if high >= percent:
            return start + (end - start) * (percent - low) / (high - low)
    return curve[-1][1]
