"""Delays before the next try."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays, in seconds: ``first``, then ``factor`` times the last, at most ``most``.

    >>> [Backoff(1, 10).delay(n) for n in range(5)]
    [1, 2, 4, 8, 10]
    """

    first: float
    most: float
    factor: float = 2

    def delay(self, failures: int) -> float:
        """Return the delay after this many earlier failures (0 for the first)."""
        exponent = min(failures, 64)  # a float to a larger power may overflow
        return min(self.first * self.factor**exponent, self.most)
