"""An API under a policy, reduced to numbers: load is given, replicas come a start-up after they
are ordered, and go at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gyrus.autoscaling.policy import Decision, Policy, Sample
from gyrus.spec.realtime import RealtimeSpec

THURSDAY = 1763596800.0
"""2025-11-20 00:00 UTC."""
STILL = {"forecast": False, "panic_threshold": None}
"""Cortex's rules alone."""


def api(*, max_concurrency: int | None = 1, **autoscaling: Any) -> RealtimeSpec:
    fields = {"autoscaling": autoscaling, "max_concurrency": max_concurrency}
    return RealtimeSpec.model_validate({"name": "chat", "handler": {"path": "handler.py"}, **fields})


@dataclass
class Api:
    policy: Policy
    requested: int = 1
    startup: float = 8.0
    capacity: int | None = None
    now: float = THURSDAY
    decisions: list[Decision] = field(default_factory=list[Decision])
    _orders: list[float] = field(default_factory=list[float])
    """When each that is not the first's was ordered, oldest first."""

    def __post_init__(self) -> None:
        self._orders = [-math.inf] * self.requested

    @property
    def ready(self) -> int:
        return sum(ordered + self.startup <= self.now for ordered in self._orders)

    def see(self, in_flight: float, seconds: int = 1) -> Decision:
        """The same for each of so many seconds; returns the last decision."""
        for _ in range(seconds):
            self.now += 1
            self._decide(in_flight)
        return self.decisions[-1]

    def follow(self, loads: Iterable[float]) -> Decision:
        for load in loads:
            self.see(load)
        return self.decisions[-1]

    def _decide(self, in_flight: float) -> None:
        sample = Sample(
            now=self.now,
            in_flight=in_flight,
            busy=min(in_flight, self.ready),
            ready=self.ready,
            requested=self.requested,
            startup=self.startup,
            capacity=self.capacity,
        )
        decision = self.policy.decide(sample)
        self.decisions.append(decision)
        self._orders += [self.now] * (decision.replicas - self.requested)
        del self._orders[decision.replicas :]
        self.requested = decision.replicas

    @property
    def numbers(self) -> list[int]:
        return [decision.replicas for decision in self.decisions]
