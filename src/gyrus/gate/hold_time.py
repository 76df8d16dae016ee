"""The time until which a request is held. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldEnd:
    at: float
    """Seconds since the epoch."""
    is_timeout: bool
    """True if the API's timeout ends the hold, False if ``max_hold`` does."""


def hold_end(*, arrived: float, now: float, hold: float, timeout: float) -> HoldEnd:
    """Return the end of the hold of a request. ``arrived``: at the gateway; it reached the activator now.

    ``max_hold`` begins at the activator: a request may have waited before at a replica that died. The timeout
    begins at the gateway.

    >>> hold_end(arrived=100, now=107, hold=5, timeout=60)
    HoldEnd(at=112, is_timeout=False)
    >>> hold_end(arrived=100, now=107, hold=5, timeout=10)
    HoldEnd(at=110, is_timeout=True)
    """
    held, answered = now + hold, arrived + timeout
    return HoldEnd(min(held, answered), answered <= held)
