"""A simulation's input besides the policy: the requests, and the rules of the API and its platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gyrus.simulator.service import ServiceTimes, Spread
from gyrus.simulator.trace import Trace
from gyrus.spec.realtime import RealtimeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedLoad:
    """Requests by number, in the order of their arrival."""

    name: str
    start: float
    """Time of the first request, in seconds since the epoch."""
    arrivals: Sequence[float]
    """Seconds from the start, never falling."""
    services: Sequence[float]
    """Seconds that each request takes in its slot, independent of the replica's other requests."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @classmethod
    def of(cls, trace: Trace, service: ServiceTimes, seed: int) -> Self:
        """Add service times to a trace. Raises ValueError if the trace lacks them."""
        services = service.times(trace, seed)
        return cls(name=trace.name, start=trace.start, arrivals=trace.arrivals, services=services)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingRules:
    """The rules of one API and its platform. Times in seconds."""

    slots: int | None
    """Slots of each replica; None means no limit."""
    longest_queue: int
    """Places in each replica's queue."""
    timeout: float
    """Longest time from a request's arrival to its answer."""
    hold: float
    """Longest time from a request's arrival while there is no replica."""
    initial: int
    """Replicas that are ready when the first request arrives."""
    startup: Spread
    """Time from ordering a replica until requests reach it."""
    seed: int = 1

    @classmethod
    def of(cls, spec: RealtimeSpec, startup: Spread, seed: int = 1) -> Self:
        return cls(
            slots=spec.slots,
            longest_queue=spec.max_queue_length,
            timeout=spec.timeout.total_seconds(),
            hold=spec.hold.total_seconds(),
            initial=spec.autoscaling.initial,
            startup=startup,
            seed=seed,
        )
