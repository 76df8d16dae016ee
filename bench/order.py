"""Distance of a burst from one queue in order of arrival, in virtual time.

Requests wait at one replica with one slot when four more replicas arrive. Plain least-request balancing
leaves them there; the gate moves them. The aims are a makespan within 1.15 × of one queue for all, and no
request overtaken by a later one by more than one service time.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from heapq import heapify, heapreplace

import machine
from table import render

from gyrus.autoscaling.policy import Decision, Sample
from gyrus.simulator.engine import simulate
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.run import Run
from gyrus.simulator.service import Fixed, Lognormal, Spread

WORK = 20.0
"""Seconds of work in all."""
COME = 1.0
"""Seconds from the first arrival until the other replicas are ordered."""
SERVICES = (0.2, 0.05, 0.01)
STARTS: dict[str, Spread] = {
    "at once": Fixed(0.0), "within 50 ms": Lognormal(0.02, 0.8), "within 1 s": Lognormal(0.3, 0.8),
}  # fmt: skip
SEEDS = range(1, 11)
LONGEST, MOST_OVERTAKEN = 1.15, 1.0


class FourMore:
    """A policy with one replica at first, and five after :data:`COME` seconds."""

    every = COME

    def decide(self, sample: Sample) -> Decision:
        return Decision(at=sample.now, was=sample.requested, wanted=5, replicas=5, rule="", because="")


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst figures of all seeds."""

    stretch: float
    """The makespan, as a multiple of one queue's."""
    overtaken: float
    """Service times by which a request began after one that had arrived later."""


def simulated(service: float, start: Spread, seed: int) -> Worst:
    number = round(WORK / service)
    arrivals = [n * 1e-4 for n in range(number)]
    work = OfferedLoad(name="burst", start=0.0, arrivals=arrivals, services=[service] * number)
    rules = ServingRules(
        slots=1, longest_queue=number, timeout=600, hold=600, initial=1, startup=start, seed=seed
    )
    run = simulate(work, rules, FourMore())
    return Worst(run.ended / one_queue(work, run), overtaken(run) / service)


def one_queue(work: OfferedLoad, run: Run) -> float:
    """Return the end of all requests if replicas were ready when ordered and shared a single queue."""
    ready = [0.0] + [look.at for look in run.looks[:1]] * 4
    heapify(ready)
    for arrival, service in zip(work.arrivals, work.services, strict=True):
        heapreplace(ready, max(ready[0], arrival) + service)
    return max(ready)


def overtaken(run: Run) -> float:
    """Return the most seconds by which a request began after one that had arrived later."""
    earliest, longest = math.inf, 0.0
    for begun in reversed(run.begun):
        longest = max(longest, begun - earliest)
        earliest = min(earliest, begun)
    return longest


def main() -> int:
    rows: list[tuple[str, ...]] = []
    good = True
    for name, start in STARTS.items():
        for service in SERVICES:
            found = [simulated(service, start, seed) for seed in SEEDS]
            worst = Worst(max(each.stretch for each in found), max(each.overtaken for each in found))
            good = good and worst.stretch <= LONGEST and worst.overtaken <= MOST_OVERTAKEN
            rows.append((name, f"{service * 1000:.0f}", f"{worst.stretch:.3f}", f"{worst.overtaken:.1f}"))
    print(machine.description())
    print(render(("four more replicas", "service ms", "makespan ÷ one queue", "overtaken by services"), rows))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
