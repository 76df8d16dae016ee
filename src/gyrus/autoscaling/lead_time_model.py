"""What the load comes to while a replica starts, as experience with this very traffic has it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

MEMORY = 1800.0
SHORTEST = 180.0
"""Seconds after which an experience weighs half: as long as the traffic has been known, within these. What
was seen while everything was new fades soon."""
IDLE = 0.05
"""A load below this is none."""
ENOUGH = 15.0
"""Experiences, one a second, without which there is no outlook."""
_HEAVIEST = 2.0**200


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of the load, a start-up ahead."""

    mean: float
    deviation: float

    def level(self, deviations: float) -> float:
        """What it rarely exceeds."""
        return self.mean + deviations * self.deviation


class LeadTimeModel:
    """Remembers what the load was a start-up after there was traffic, and a start-up after there was none.

    A traffic of bursts has learned within minutes how high its bursts go, so that the first request of one
    calls for what all of it needs, and that between them little follows. A steady traffic learns how far it
    strays. Two kinds of moments and no more: what the load is *exactly* tells next to nothing about what it
    is a start-up later, and what is learned of fewer kinds is learned sooner and keeps still.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._weight = 1.0
        """Of an experience of now. It grows, instead of all others fading."""
        self._seen: deque[tuple[float, bool]] = deque()
        self._sums = {False: [0.0, 0.0, 0.0], True: [0.0, 0.0, 0.0]}
        """After none, and after some: the weights, the weighted loads that followed, their squares."""

    def learn(self, now: float, load: float, ahead: float) -> None:
        """``load`` is what followed on the moments ``ahead`` seconds ago."""
        self._age(now)
        self._seen.append((now, load >= IDLE))
        while self._seen and self._seen[0][0] <= now - ahead:
            sums = self._sums[self._seen.popleft()[1]]
            sums[0] += self._weight
            sums[1] += self._weight * load
            sums[2] += self._weight * load * load

    def expected(self, load: float) -> Expectation | None:
        """After a load of now. None: there is too little experience."""
        weight, first, second = self._sums[load >= IDLE]
        if weight < ENOUGH * self._weight:
            return None
        mean = first / weight
        return Expectation(mean, math.sqrt(max(0.0, second / weight - mean * mean)))

    def _age(self, now: float) -> None:
        if self._first is None:
            self._first = self._last = now
        half = min(max(now - self._first, SHORTEST), MEMORY)
        self._weight *= 2.0 ** min((now - self._last) / half, 100.0)
        self._last = now
        if self._weight > _HEAVIEST:
            for sums in self._sums.values():
                sums[:] = (number / self._weight for number in sums)
            self._weight = 1.0
