"""How much work a workload is at each time, whoever does it."""

from __future__ import annotations

import math

from gyrus.simulator.workload import Workload


def concurrency(workload: Workload, every: float, until: float | None = None) -> list[float]:
    """Requests that would be worked on at once if none ever waited: averages over spans of ``every`` seconds.

    Up to the last arrival, or ``until``.
    """
    length = workload.arrivals[-1] if until is None else until
    number = max(1, math.ceil(length / every))
    changes, moments = [0] * (number + 1), [0.0] * (number + 1)
    for arrival, service in zip(workload.arrivals, workload.services, strict=True):
        for moment, change in ((arrival, 1), (arrival + service, -1)):
            span = min(int(moment / every), number)
            changes[span] += change
            moments[span] += change * moment
    return _averages(changes, moments, every)


def _averages(changes: list[int], moments: list[float], every: float) -> list[float]:
    """The work done until a span ends is ``level × end − moment``, both summed over all changes so far."""
    averages: list[float] = []
    level, moment, before = 0, 0.0, 0.0
    for number in range(len(changes) - 1):
        level += changes[number]
        moment += moments[number]
        done = level * (number + 1) * every - moment
        averages.append(max(0.0, (done - before) / every))
        before = done
    return averages
