"""The time until which a request is held. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldLimit:
    at: float
    """Seconds since the epoch."""
    is_timeout: bool
    """True if the API's timeout ends the hold, False if ``max_hold`` does."""


def hold_limit(*, arrived: float, now: float, hold: float, timeout: float) -> HoldLimit:
    """Return the limit of a request that arrived at the gateway at ``arrived``, and at the activator now.

    ``max_hold`` begins at the activator: a request may have waited before at a replica that died. The timeout
    begins at the gateway.

    >>> hold_limit(arrived=100, now=107, hold=5, timeout=60)
    HoldLimit(at=112, is_timeout=False)
    >>> hold_limit(arrived=100, now=107, hold=5, timeout=10)
    HoldLimit(at=110, is_timeout=True)
    """
    held, answered = now + hold, arrived + timeout
    return HoldLimit(min(held, answered), answered <= held)
