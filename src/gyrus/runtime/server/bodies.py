"""The bound on the bodies that a process receives at the same time, and the least pace of each.

A request holds no slot and no place in the queue before its body is complete. Without a bound, clients that
never finish their bodies would take all memory. The first bytes of each body are free, so that a request with
a small body is served even while others use up the bound.
"""

from __future__ import annotations

from gyrus.contract.replica import Limits

FREE = 64 * 1024
"""Bytes of each body that are not counted."""
STEP = 256 * 1024
"""Bytes by which a body of unknown length reserves memory."""
LEAST_MOST = 256 * 1024 * 1024
"""Bytes of all bodies under way, at least. It is more if a single body may have more than half of it."""

LEAST_PACE = 4 * 1024
"""Bytes per second that a body must arrive with on average, after the first ``body_timeout`` seconds."""
LONGEST = 3600.0
"""Seconds for a whole body."""
READING_GRACE = 20
"""Times ``body_timeout`` for which a client may read nothing of its answer. The gateway reads ahead for a
slow client, so a replica sees no progress until the client has read that."""
LEAST_READING_PACE = 1024
"""Bytes per second that a client must read on average, after the grace."""


def most_of(limits: Limits) -> int:
    """Return the bytes that all bodies under way may take in one process."""
    return max(LEAST_MOST, 2 * limits.max_body)


class BodyBudget:
    """The memory for bodies under way, of one process. Bodies reserve it before they take it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.reserved = 0

    def reserve(self, size: int) -> bool:
        """Reserve this many bytes. Returns False, and reserves nothing, if there is no space."""
        if self.reserved + size > self.most:
            return False
        self.reserved += size
        return True

    def release(self, size: int) -> None:
        self.reserved -= size


def is_too_slow(size: int, elapsed: float, grace: float) -> bool:
    """Return True if a body of which ``size`` bytes arrived within ``elapsed`` seconds is below the pace."""
    return elapsed > LONGEST or size < (elapsed - grace) * LEAST_PACE
