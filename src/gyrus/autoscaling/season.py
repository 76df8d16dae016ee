"""The load at the same time of earlier days and weeks."""

from __future__ import annotations

import math
from array import array

from gyrus.autoscaling.memory import DAY_PARTS, WEEK_PARTS, CycleMemory, SeasonMemory

DAY = 86_400.0
WEEK = 7 * DAY
MOST_REMEMBERED = 8.0
"""Periods in an average; older ones fade."""


class Cycle:
    """The average load of each part of a period, over the past periods."""

    def __init__(self, period: float, number: int) -> None:
        """Divide a period, in seconds, into this number of parts."""
        self._part = period / number
        self._means = array("d", bytes(8 * number))
        self._counts = array("d", bytes(8 * number))
        self._current: int | None = None
        """The part that is being averaged at present, counted from the epoch."""
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

    def memory(self) -> CycleMemory:
        return CycleMemory(
            means=tuple(self._means),
            counts=tuple(self._counts),
            current=self._current,
            sum=self._sum,
            samples=self._samples,
        )

    def recall(self, memory: CycleMemory) -> None:
        self._means, self._counts = array("d", memory.means), array("d", memory.counts)
        self._current, self._sum, self._samples = memory.current, memory.sum, memory.samples

    def at(self, moment: float) -> float | None:
        """Return the average load of this part of the period. Returns None before its second occurrence."""
        index = math.floor(moment / self._part) % len(self._means)
        return self._means[index] if self._counts[index] >= 2 else None


class Season:
    """The day in minutes, and the week in steps of five minutes."""

    def __init__(self) -> None:
        self._day = Cycle(DAY, DAY_PARTS)
        self._week = Cycle(WEEK, WEEK_PARTS)

    def add(self, now: float, load: float) -> None:
        self._day.add(now, load)
        self._week.add(now, load)

    def memory(self) -> SeasonMemory:
        return SeasonMemory(day=self._day.memory(), week=self._week.memory())

    def recall(self, memory: SeasonMemory) -> None:
        self._day.recall(memory.day)
        self._week.recall(memory.week)

    def change(self, now: float, ahead: float) -> float:
        """Return by how much the load rose from this time to ``ahead`` seconds later.

        The rise is that of earlier weeks or, if there were not two, of earlier days. Returns 0 if neither is
        known, or if the load rose by less than half.
        """
        for cycle in (self._week, self._day):
            present, future = cycle.at(now), cycle.at(now + ahead)
            if present is not None and future is not None:
                return future - present if future > 1.5 * present else 0.0
        return 0.0
