"""The trend of the load: a slope that is robust against single points; zero if there is no clear one."""

from __future__ import annotations

from collections import deque
from itertools import combinations
from statistics import median

from gyrus.autoscaling.memory import TrendMemory

POINTS = 12
"""Averages that form a trend."""
AGREEING = 0.9
"""The share of pairs of points that must rise (or fall) for a trend. For twelve random points, that happens
in less than one case in a thousand."""


class Trend:
    """Theil and Sen's slope over the latest averages, each of an equal span of time."""

    def __init__(self, every: float) -> None:
        """Average ``every`` seconds into each point."""
        self._every = every
        self._points: deque[tuple[float, float]] = deque(maxlen=POINTS)
        self._sum = 0.0
        self._count = 0
        self._begun: float | None = None
        self.slope = 0.0
        """Change of the load per second; 0 if there is no trend."""

    def add(self, now: float, load: float) -> None:
        if self._begun is None:
            self._begun = now
        self._sum += load
        self._count += 1
        if now - self._begun >= self._every:
            self._points.append((now, self._sum / self._count))
            self._begun, self._sum, self._count = now, 0.0, 0
            self.slope = _slope(tuple(self._points))

    def memory(self) -> TrendMemory:
        return TrendMemory(points=tuple(self._points), sum=self._sum, count=self._count, begun=self._begun)

    def recall(self, memory: TrendMemory) -> None:
        self._points.extend(memory.points)
        self._sum, self._count, self._begun = memory.sum, memory.count, memory.begun
        self.slope = _slope(tuple(self._points))


def _slope(points: tuple[tuple[float, float], ...]) -> float:
    """Return the median slope between all pairs of points; 0 if too few of them agree.

    >>> _slope(tuple((float(t), 2.0 * t) for t in range(POINTS)))
    2.0
    """
    if len(points) < POINTS:
        return 0.0
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2)]
    rising = sum(slope > 0 for slope in slopes)
    falling = sum(slope < 0 for slope in slopes)
    return median(slopes) if max(rising, falling) >= AGREEING * len(slopes) else 0.0
