"""A histogram of durations, as Prometheus counts them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets, in seconds. The last bucket has none."""


@dataclass(slots=True)
class Histogram:
    total: float = 0.0
    """The sum of all durations, in seconds."""
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """By bucket: the durations up to its bound, without those of the buckets before it."""

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def copy(self) -> Histogram:
        return Histogram(self.total, [*self.counts])

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield each bucket's bound, and the number of durations up to it."""
        bounds = (*(str(bound) for bound in BOUNDS), "+Inf")
        return zip(bounds, accumulate(self.counts), strict=True)
