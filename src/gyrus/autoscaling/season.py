"""What the same time of the day, or of the week, has brought before."""

from __future__ import annotations

import math
from array import array

DAY = 86_400.0
WEEK = 7 * DAY
MOST_REMEMBERED = 8.0
"""Periods that an average goes over; older ones fade."""


class Cycle:
    """The average load of each part of a period, over the periods seen."""

    def __init__(self, period: float, part: float) -> None:
        """Seconds, both."""
        self._period = period
        self._part = part
        number = round(period / part)
        self._means = array("d", bytes(8 * number))
        self._counts = array("d", bytes(8 * number))
        self._current: int | None = None
        """The part that is being averaged, counted from the epoch."""
        self._sum = 0.0
        self._samples = 0

    def add(self, now: float, load: float) -> None:
        part = math.floor(now / self._part)
        if part != self._current:
            self._close()
            self._current, self._sum, self._samples = part, 0.0, 0
        self._sum += load
        self._samples += 1

    def _close(self) -> None:
        if self._current is None or not self._samples:
            return
        index = self._current % len(self._means)
        count = min(self._counts[index] + 1, MOST_REMEMBERED)
        self._counts[index] = count
        self._means[index] += (self._sum / self._samples - self._means[index]) / count

    def at(self, moment: float) -> float | None:
        """None: that part has not been seen twice."""
        index = math.floor(moment / self._part) % len(self._means)
        return self._means[index] if self._counts[index] >= 2 else None


class Season:
    """The day in minutes, the week in steps of five."""

    def __init__(self) -> None:
        self._day = Cycle(DAY, 60.0)
        self._week = Cycle(WEEK, 300.0)

    def add(self, now: float, load: float) -> None:
        self._day.add(now, load)
        self._week.add(now, load)

    def change(self, now: float, ahead: float) -> float:
        """By how much the load rose from this time to ``ahead`` seconds later, in earlier weeks or, where
        there were not two, on earlier days. 0 where nothing is known, or where it rose by less than half."""
        for cycle in (self._week, self._day):
            present, future = cycle.at(now), cycle.at(now + ahead)
            if present is not None and future is not None:
                return future - present if future > 1.5 * present else 0.0
        return 0.0
