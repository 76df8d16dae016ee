"""One that knows every arrival and every service time beforehand: what the others are measured by.

It keeps at each moment the least number of replicas with which no request would ever wait, were each started
when it arrives, to the resolution of a second: the average load of the second, rounded up. Each replica is
ordered a start-up before it is needed and let go when it has not been needed for that long, since ordering it
again would cost as much as keeping it. Requests may still wait for parts of a second, so that a few that are
very short miss. No policy that must wait for a start-up and does not know the future comes near it: it is a
bound, not a rival. Fewer replica-hours still are possible for one who lets requests wait.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gyrus.autoscaling.policy import Decision, Sample
from gyrus.autoscaling.windows import Extreme

if TYPE_CHECKING:
    from gyrus.simulator.contenders import Situation


class ClairvoyantPolicy:
    every = 1.0

    def __init__(self, situation: Situation) -> None:
        scaling, workload = situation.spec.autoscaling, situation.workload
        slots = situation.spec.slots or math.inf
        loads = offered(workload.arrivals, workload.services)
        needs = [max(math.ceil(load / slots - 1e-9), 1 if load else 0) for load in loads]
        ahead = math.ceil(situation.startup + self.every)
        self._start = workload.start
        self._plan = [
            min(max(need, scaling.min_replicas), scaling.max_replicas) for need in highest_ahead(needs, ahead)
        ]
        self._least = scaling.min_replicas

    @property
    def initial(self) -> int:
        """Ready when the first request arrives."""
        return self._plan[0] if self._plan else self._least

    def decide(self, sample: Sample) -> Decision:
        second = math.floor(sample.now - self._start + 1e-6)
        replicas = self._plan[second] if second < len(self._plan) else max(self._least, sample.in_flight > 0)
        return Decision(
            at=sample.now, was=sample.requested, wanted=replicas, replicas=replicas, rule="", because=""
        )


def offered(arrivals: Sequence[float], services: Sequence[float]) -> list[float]:
    """The average of each second of what would be in flight if nobody had to wait.

    >>> offered([0.5, 1.0], [1.0, 0.25])
    [0.5, 0.75]
    """
    end = max((a + s for a, s in zip(arrivals, services, strict=True)), default=0.0)
    changes = [0.0] * (math.floor(end) + 3)
    for arrival, service in zip(arrivals, services, strict=True):
        for moment, sign in ((arrival, 1.0), (arrival + service, -1.0)):
            second = math.floor(moment)
            rest = second + 1 - moment
            changes[second] += sign * rest
            changes[second + 1] += sign * (1 - rest)
    loads, load = list[float](), 0.0
    for change in changes[: math.ceil(end)]:
        load += change
        loads.append(round(load, 9))
    return loads


def highest_ahead(numbers: Sequence[int], ahead: int) -> list[int]:
    """For each, the highest of it and of so many that follow.

    >>> highest_ahead([0, 0, 3, 0, 1], 1)
    [0, 3, 3, 1, 1]
    """
    highest = Extreme(float(ahead), highest=True)
    found = [int(highest.add(place, number)) for place, number in enumerate(reversed(numbers))]
    return found[::-1]
