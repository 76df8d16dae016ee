"""The load to expect after a replica's start-up, learned from this API's own traffic."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from gyrus.autoscaling.memory import LeadTimeMemory

MEMORY = 1800.0
SHORTEST = 180.0
"""Seconds after which the weight of an experience halves. Within these limits it is the time for which the
traffic has been known, so that the first experiences fade soon."""
IDLE = 0.05
"""Requests in flight; less than this counts as no load."""
ENOUGH = 15.0
"""Experiences, one per second; with fewer there is no expectation."""
MOST_SEEN = 1024
"""The most moments whose outcome is not known yet that a memory contains: the newest."""
_HEAVIEST = 2.0**200


@dataclass(frozen=True, slots=True)
class Expectation:
    """The load to expect one start-up ahead."""

    mean: float
    deviation: float

    def level(self, deviations: float) -> float:
        """Return the load that is rarely exceeded."""
        return self.mean + deviations * self.deviation


class LeadTimeModel:
    """Statistics of the load one start-up after there was traffic, and one start-up after there was none.

    For bursty traffic, the model learns within minutes how high its bursts go, so that the first request of a
    burst orders the replicas for all of it. It also learns that little follows between bursts. For steady
    traffic, it learns how far the load varies. It distinguishes only two kinds of moments: the *exact* load
    predicts next to nothing about the load one start-up later, and fewer kinds are learned sooner and are
    more stable.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._weight = 1.0
        """The weight of a new experience. It grows, so that the sums of older ones need no update."""
        self._seen: deque[tuple[float, bool]] = deque()
        self._sums = {False: [0.0, 0.0, 0.0], True: [0.0, 0.0, 0.0]}
        """The sums of the weights, of the weighted loads that followed, and of their weighted squares. True
        has the moments with load, False those without."""

    def learn(self, now: float, load: float, ahead: float) -> None:
        """Learn that ``load`` followed the moments of ``ahead`` seconds ago."""
        self._age(now)
        self._seen.append((now, load >= IDLE))
        while self._seen and self._seen[0][0] <= now - ahead:
            sums = self._sums[self._seen.popleft()[1]]
            sums[0] += self._weight
            sums[1] += self._weight * load
            sums[2] += self._weight * load * load

    def expected(self, load: float) -> Expectation | None:
        """Return the expectation after this present load. Returns None with too little experience."""
        weight, first, second = self._sums[load >= IDLE]
        if weight < ENOUGH * self._weight:
            return None
        mean = first / weight
        return Expectation(mean, math.sqrt(max(0.0, second / weight - mean * mean)))

    def memory(self) -> LeadTimeMemory:
        with_load, without = self._sums[True], self._sums[False]
        return LeadTimeMemory(
            first=self._first,
            last=self._last,
            weight=self._weight,
            after_load=(with_load[0], with_load[1], with_load[2]),
            after_none=(without[0], without[1], without[2]),
            seen=tuple(self._seen)[-MOST_SEEN:],
        )

    def recall(self, memory: LeadTimeMemory) -> None:
        self._first, self._last, self._weight = memory.first, memory.last, memory.weight
        self._sums = {False: [*memory.after_none], True: [*memory.after_load]}
        self._seen = deque(memory.seen)

    def resume(self, now: float) -> None:
        """Continue after a time without samples, which neither ages the experiences nor makes new ones."""
        if self._first is not None:
            self._first += now - self._last
            self._last = now
        self._seen.clear()

    def _age(self, now: float) -> None:
        if self._first is None:
            self._first = self._last = now
        half = min(max(now - self._first, SHORTEST), MEMORY)
        self._weight *= 2.0 ** min((now - self._last) / half, 100.0)  # a long pause must not overflow it
        self._last = now
        if self._weight > _HEAVIEST:  # scale everything down before a float overflows
            for sums in self._sums.values():
                sums[:] = (number / self._weight for number in sums)
            self._weight = 1.0
