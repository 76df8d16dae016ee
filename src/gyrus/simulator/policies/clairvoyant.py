"""A policy that knows every arrival and service time in advance. The others are measured by it.

In each second it keeps the least number of replicas with which no request has to wait, to a resolution of
50 ms: the highest average load of the second's parts, rounded up. It orders each replica one start-up before
it is needed. It removes a replica that is not needed for that long, since ordering one again costs as much as
keeping it. Requests may still wait for less than 50 ms, so that a few very short ones may miss the SLO. A
policy that does not know the future cannot come near it: it is a bound, not a rival. A policy that lets
requests wait can need even fewer replica-hours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from gyrus.autoscaling.policy import Decision, Sample
from gyrus.autoscaling.windows import Extreme

if TYPE_CHECKING:
    from gyrus.simulator.baselines import PolicyContext

PARTS = 20
"""Parts of a second."""


class ClairvoyantPolicy:
    every = 1.0

    def __init__(self, situation: PolicyContext) -> None:
        scaling, offered_load = situation.spec.autoscaling, situation.offered_load
        slots = situation.spec.slots or math.inf
        loads = offered(offered_load.arrivals, offered_load.services)
        needs = [max(math.ceil(load / slots - 1e-9), 1 if load else 0) for load in loads]
        ahead = math.ceil(situation.startup + self.every)
        self._start = offered_load.start
        self._plan = [
            min(max(need, scaling.min_replicas), scaling.max_replicas) for need in highest_ahead(needs, ahead)
        ]
        self._least = scaling.min_replicas

    @property
    def initial(self) -> int:
        """The number of replicas that are ready when the first request arrives."""
        return self._plan[0] if self._plan else self._least

    def decide(self, sample: Sample) -> Decision:
        second = math.floor(sample.now - self._start + 1e-6)
        replicas = self._plan[second] if second < len(self._plan) else max(self._least, sample.in_flight > 0)
        return Decision(
            at=sample.now, was=sample.requested, wanted=replicas, replicas=replicas, rule="", because=""
        )


def offered(arrivals: Sequence[float], services: Sequence[float]) -> list[float]:
    """Return each second's highest average load over one of its parts, if no request had to wait.

    >>> offered([0.5, 1.0], [1.0, 0.2])
    [1.0, 2.0]
    """
    end = max((a + s for a, s in zip(arrivals, services, strict=True)), default=0.0) * PARTS
    changes = [0.0] * (math.floor(end) + PARTS + 3)
    for arrival, service in zip(arrivals, services, strict=True):
        for moment, sign in ((arrival * PARTS, 1.0), ((arrival + service) * PARTS, -1.0)):
            part = math.floor(moment)
            rest = part + 1 - moment
            changes[part] += sign * rest
            changes[part + 1] += sign * (1 - rest)
    loads = [round(load, 6) for load in accumulate(changes)]
    return [max(loads[part : part + PARTS]) for part in range(0, math.ceil(end), PARTS)]


def highest_ahead(numbers: Sequence[int], ahead: int) -> list[int]:
    """Return for each number the highest of it and of the ``ahead`` numbers that follow.

    >>> highest_ahead([0, 0, 3, 0, 1], 1)
    [0, 3, 3, 1, 1]
    """
    highest = Extreme(float(ahead), highest=True)
    found = [int(highest.add(place, number)) for place, number in enumerate(reversed(numbers))]
    return found[::-1]
