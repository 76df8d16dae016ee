"""A number that goes up and down by one, and its average over time."""

from __future__ import annotations


class Gauge:
    """A level and its average since the last reading.

    >>> gauge = Gauge()
    >>> gauge.rise(1.0); gauge.rise(3.0); gauge.average(4.0)
    1.0
    """

    __slots__ = ("_moment", "_since", "level")

    def __init__(self) -> None:
        self.level = 0
        self._since = 0.0
        self._moment = 0.0
        """Sum of the changes, each times its time since ``_since``. The area under the level is then
        ``level × duration − moment``, so that a change costs one addition."""

    def rise(self, now: float) -> None:
        self.level += 1
        self._moment += now - self._since

    def fall(self, now: float) -> None:
        self.level -= 1
        self._moment -= now - self._since

    def average(self, now: float) -> float:
        """Return the average since the last call; the present level if no time has passed."""
        passed = now - self._since
        if passed <= 0:
            return float(self.level)
        average = self.level - self._moment / passed
        self._since, self._moment = now, 0.0
        return max(0.0, average)
