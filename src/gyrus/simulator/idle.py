"""Spans without traffic, in which decisions are simulated once a minute instead of every second. Pure.

A year without requests has 31 million decisions that all look alike. The decisions are exact for an hour
after the last request and for an hour before the next one, which is longer than the memory that a policy has
of single samples. Between them, one sample a minute is enough for all that a policy learns of that time: the
load of each minute of the day, which is zero, and the times of a schedule, which are whole minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

SPARSE = 60.0
"""Seconds between two decisions without traffic."""
AROUND = 3600.0
"""Seconds after the last request and before the next one in which every decision is simulated."""
STARTS = 10.0
"""Start-ups that fit into the time before the next request, at least."""


@dataclass(frozen=True, slots=True)
class IdleSpans:
    """The rule for the time of the next decision."""

    every: float
    """Seconds between two decisions of the policy."""
    around: float
    """Seconds, as AROUND."""

    @classmethod
    def of(cls, every: float, startup: float) -> IdleSpans:
        return cls(every, max(AROUND, STARTS * startup))

    def next(self, now: float, active: float, arrival: float) -> float:
        """Return the time of the decision after the one at ``now``.

        ``active`` is the last time with a request in flight, ``arrival`` that of the next request. Decisions
        stay on the policy's grid, and sparse ones on that of minutes since the first one, because some
        policies act only on every fifteenth decision.
        """
        sparse = self.every * max(1, SPARSE // self.every)
        near = now < active + self.around or now + sparse + self.around > arrival
        aligned = (now - 0.5 * self.every) % sparse < self.every
        return now + (sparse if aligned and not near else self.every)
