"""The rules of a Lease: when an operator may take it, and when it has lost it. Pure.

The standby compares no clocks: a lease has expired if the standby has seen no change of it for its whole
duration. The leader counts from before its last successful renewal was sent, and gives up earlier. So the
leader has stopped before a standby takes over, however far apart their clocks are.
"""

from __future__ import annotations

from dataclasses import dataclass

DURATION = 10.0
"""Seconds without a renewal after which a standby may take the lease."""
RENEW_EVERY = 2.0
"""Seconds between two renewals, and between two looks of a standby."""
GIVE_UP = 7.0
"""Seconds without a renewal after which the leader stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease as it is stored. Equal leases have not been renewed in between."""

    holder: str = ""
    """The pod that has it. Empty if it was released."""
    renewed: str = ""
    """Time of the last renewal, by the holder's clock."""
    transitions: int = 0
    """Changes of the holder so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSighting:
    """A lease, and the time at which this operator first saw it in this state."""

    lease: Lease
    since: float
    """Seconds, by a monotonic clock."""


def seen(last: LeaseSighting | None, lease: Lease, now: float) -> LeaseSighting:
    """Return the sighting after a look at the lease."""
    return last if last and last.lease == lease else LeaseSighting(lease=lease, since=now)


def may_take(sighting: LeaseSighting, me: str, now: float) -> bool:
    """Return True if this operator may write itself into the lease."""
    holder = sighting.lease.holder
    return holder in ("", me) or now - sighting.since >= DURATION


def taken(lease: Lease, me: str, at: str) -> Lease:
    """Return the lease with this holder, renewed at this time."""
    return Lease(holder=me, renewed=at, transitions=lease.transitions + (lease.holder != me))


def is_lost(renewed: float, now: float) -> bool:
    """Return True if the leader must stop. ``renewed``: when it began its last successful renewal."""
    return now - renewed >= GIVE_UP
