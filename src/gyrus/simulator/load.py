"""The work in an offered load over time, independent of replicas."""

from __future__ import annotations

import math

from gyrus.simulator.offered_load import OfferedLoad


def concurrency(offered_load: OfferedLoad, every: float, until: float | None = None) -> list[float]:
    """Return the requests in progress if none ever waited, as averages over spans of ``every`` seconds.

    The spans end at the last arrival, or at ``until``.
    """
    length = offered_load.arrivals[-1] if until is None else until
    number = max(1, math.ceil(length / every))
    changes, moments = [0] * (number + 1), [0.0] * (number + 1)
    for arrival, service in zip(offered_load.arrivals, offered_load.services, strict=True):
        for moment, change in ((arrival, 1), (arrival + service, -1)):
            span = min(int(moment / every), number)
            changes[span] += change
            moments[span] += change * moment
    return _averages(changes, moments, every)


def _averages(changes: list[int], moments: list[float], every: float) -> list[float]:
    """Average each span. The work until its end is ``level × end − moment``, each summed over all changes."""
    averages: list[float] = []
    level, moment, before = 0, 0.0, 0.0
    for number in range(len(changes) - 1):
        level += changes[number]
        moment += moments[number]
        done = level * (number + 1) * every - moment
        averages.append(max(0.0, (done - before) / every))
        before = done
    return averages
