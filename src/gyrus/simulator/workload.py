"""What is to be worked on, and under which rules: all that a rehearsal is given beside the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gyrus.simulator.service import ServiceTimes, Spread
from gyrus.simulator.trace import Trace
from gyrus.spec.api import ApiSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests by number, in the order of their arrival."""

    name: str
    start: float
    """Of the first request, in seconds since the epoch."""
    arrivals: Sequence[float]
    """Seconds from the start, never falling."""
    services: Sequence[float]
    """Seconds that each takes in its slot, however many others the replica works on."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @classmethod
    def of(cls, trace: Trace, service: ServiceTimes, seed: int) -> Self:
        """Raises ValueError where the trace does not tell the service times."""
        services = service.times(trace, seed)
        return cls(name=trace.name, start=trace.start, arrivals=trace.arrivals, services=services)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRules:
    """Of one API and its platform. Times in seconds."""

    slots: int | None
    """Of each replica; None: no limit."""
    longest_queue: int
    """Of each replica."""
    timeout: float
    """From arrival to the answer."""
    hold: float
    """From arrival, while there is no replica."""
    initial: int
    """Replicas that are ready when the first request arrives."""
    startup: Spread
    """From ordering a replica until requests reach it."""
    seed: int = 1

    @classmethod
    def of(cls, spec: ApiSpec, startup: Spread, seed: int = 1) -> Self:
        return cls(
            slots=spec.slots,
            longest_queue=spec.max_queue_length,
            timeout=spec.timeout.total_seconds(),
            hold=spec.hold.total_seconds(),
            initial=spec.autoscaling.initial,
            startup=startup,
            seed=seed,
        )
