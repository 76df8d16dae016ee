"""How long to wait before the next try."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays, in seconds: ``first``, then ``factor`` times the last, never over ``most``.

    >>> [Backoff(1, 10).delay(n) for n in range(5)]
    [1, 2, 4, 8, 10]
    """

    first: float
    most: float
    factor: float = 2

    def delay(self, failures: int) -> float:
        """The delay after this many earlier failures (0 for the first)."""
        exponent = min(failures, 64)
        return min(self.first * self.factor**exponent, self.most)
