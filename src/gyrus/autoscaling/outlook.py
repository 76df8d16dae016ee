"""What the load comes to while a replica starts, as experience with this very traffic has it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

MEMORY = 1800.0
"""Seconds after which an experience weighs half."""
FINEST = 0.5
"""Loads up to this look alike; from here on, all that lie between a power of two and the next."""
IDLE = 0.05
"""A load below this looks like none."""
ENOUGH = 20.0
"""Experiences without which there is no outlook."""
_LOOKS = 40
_HEAVIEST = 2.0**200


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of the load, a start-up ahead."""

    mean: float
    deviation: float

    def level(self, deviations: float) -> float:
        """What it rarely exceeds."""
        return self.mean + deviations * self.deviation


class Outlook:
    """Remembers, for each look of the load, what the load was a start-up later: mean and deviation.

    A traffic of bursts has learned within minutes how high its bursts go, so that the first requests of one
    call for what all of it will need; and that between them next to nothing follows. A steady traffic learns
    how far it strays. Looks are the powers of two, so that what is learned is little, and learned soon.
    """

    def __init__(self, memory: float = MEMORY) -> None:
        self._memory = memory
        self._weight = 1.0
        """Of an experience of now. Grows, instead of all others fading."""
        self._last: float | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._sums = [[0.0, 0.0, 0.0] for _ in range(_LOOKS)]
        """For each look: the weights, the weighted loads that followed, and their weighted squares."""

    def learn(self, now: float, look: float, load: float, ahead: float) -> None:
        """The load looks like ``look``, and is ``load``: what followed on the looks ``ahead`` seconds ago."""
        if self._last is not None and now > self._last:
            self._weight *= 2.0 ** ((now - self._last) / self._memory)
        self._last = now
        self._seen.append((now, _kind(look)))
        while self._seen[0][0] <= now - ahead:
            sums = self._sums[self._seen.popleft()[1]]
            sums[0] += self._weight
            sums[1] += self._weight * load
            sums[2] += self._weight * load * load
        if self._weight > _HEAVIEST:
            self._lighten()

    def expected(self, look: float) -> Expectation | None:
        """None: this look is not known well enough."""
        weight, first, second = self._sums[_kind(look)]
        if weight < ENOUGH * self._weight:
            return None
        mean = first / weight
        return Expectation(mean, math.sqrt(max(0.0, second / weight - mean * mean)))

    def _lighten(self) -> None:
        for sums in self._sums:
            sums[:] = (number / self._weight for number in sums)
        self._weight = 1.0


def _kind(load: float) -> int:
    """
    >>> [_kind(load) for load in (0, 0.3, 0.5, 0.6, 1, 1.1, 2, 30)]
    [0, 1, 1, 2, 2, 3, 3, 7]
    """
    if load < IDLE:
        return 0
    return min(1 + max(0, math.ceil(math.log2(load / FINEST))), _LOOKS - 1)
