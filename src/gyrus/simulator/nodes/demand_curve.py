"""The number of replicas that an API requires over time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from gyrus.simulator.run import Run

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class DemandCurve:
    """Steps of a curve that repeats."""

    times: Sequence[float]
    """Seconds from the start, rising; the first one is 0."""
    replicas: Sequence[int]
    """Required from each time on."""
    length: float
    """Seconds after which the curve begins again."""
    night: float = 1.0
    """Share of the replicas that is required at the lowest hour of a day, which begins there."""

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return the replicas that a simulated autoscaler requested."""
        times: list[float] = [0.0]
        replicas: list[int] = [run.looks[0].requested if run.looks else 0]
        for look in run.looks:
            if look.requested != replicas[-1]:
                times.append(look.at)
                replicas.append(look.requested)
        return cls(times, replicas, max(run.ended, 1.0))

    def at(self, now: float) -> int:
        """Return the replicas that are required at a time.

        >>> [DemandCurve((0, 10), (1, 3), 20).at(now) for now in (0, 9, 10, 19, 20, 30)]
        [1, 1, 3, 3, 1, 3]
        """
        replicas = self.replicas[bisect_right(self.times, now % self.length) - 1]
        return math.ceil(replicas * self._season(now))

    def with_night(self, share: float) -> Self:
        """Return the same curve, lower at night."""
        return replace(self, night=share)

    def _season(self, now: float) -> float:
        """Return a share between ``night`` and 1, a cosine over the day."""
        return 1 - (1 - self.night) * (1 + math.cos(2 * math.pi * now / DAY)) / 2
