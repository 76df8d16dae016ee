"""The autoscaler of Cortex 0.42, as its ``pkg/autoscaler/autoscaler.go`` decides.

https://github.com/cortexlabs/cortex/blob/0.42/pkg/autoscaler/autoscaler.go (``autoscaleFn``) and
``pkg/types/spec/validations.go`` (``AutoscalingTickInterval``, 10 s). From zero to one, the activator
wakes the API (``Awaken``), at once and not at a tick.
"""

from __future__ import annotations

import math

from gyrus.autoscaling.policy import Decision, Sample
from gyrus.autoscaling.windows import Average, Extreme
from gyrus.spec.realtime import RealtimeSpec

TICK = 10.0
"""Seconds between two decisions."""


class CortexPolicy:
    """A policy that samples the traffic every second, as Cortex's Prometheus did, and decides every ten."""

    every = 1.0

    def __init__(self, spec: RealtimeSpec) -> None:
        self._scaling = spec.autoscaling
        self._target = spec.target_in_flight
        self._up_period = spec.autoscaling.upscale_stabilization_period.total_seconds()
        self._down_period = spec.autoscaling.downscale_stabilization_period.total_seconds()
        self._average = Average(spec.autoscaling.window.total_seconds())
        self._highest = Extreme(self._down_period, highest=True)
        self._lowest = Extreme(self._up_period, highest=False)
        self._started: float | None = None
        self._next = -math.inf

    def decide(self, sample: Sample) -> Decision:
        average = self._average.add(sample.now, sample.in_flight)
        if self._started is None:
            self._started = sample.now
        if sample.requested == 0 and sample.in_flight > 0:
            return self._awaken(sample)
        if sample.now < self._next:
            return _stay(sample, "tick", f"decides every {TICK:g} s")
        self._next = sample.now + TICK
        return self._tick(sample, average)

    def _awaken(self, sample: Sample) -> Decision:
        self._remember(sample.now, 1)
        return Decision(at=sample.now, was=0, wanted=1, replicas=1, rule="", because="")

    def _remember(self, now: float, recommendation: int) -> tuple[int, int]:
        """Return the lowest and the highest recommendation of their periods."""
        return int(self._lowest.add(now, recommendation)), int(self._highest.add(now, recommendation))

    def _tick(self, sample: Sample, average: float) -> Decision:
        raw = average / self._target
        wanted = math.ceil(raw)
        recommendation, rule = self._bounded(self._tolerated(raw, sample.requested), sample.requested)
        lowest, highest = self._remember(sample.now, recommendation)
        request = recommendation
        if request < sample.requested:
            request = max(request, min(highest, sample.requested))
            if sample.now - (self._started or 0) < self._down_period:
                request = sample.requested
            rule = "downscale_stabilization_period" if request > recommendation else rule
        elif request > sample.requested:
            request = min(request, max(lowest, sample.requested))
            if sample.now - (self._started or 0) < self._up_period:
                request = sample.requested
            rule = "upscale_stabilization_period" if request < recommendation else rule
        rule = rule if request != wanted else ""
        because = f"{rule} from {sample.requested}" if rule else ""
        inputs = {"average": average, "recommendation": recommendation}
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=wanted,
            replicas=request,
            rule=rule,
            because=because,
            inputs=inputs,
        )

    def _tolerated(self, raw: float, current: int) -> int:
        scaling = self._scaling
        if current * (1 - scaling.downscale_tolerance) < raw < current:
            return current
        if current < raw < current * (1 + scaling.upscale_tolerance):
            return current
        return math.ceil(raw)

    def _bounded(self, recommendation: int, current: int) -> tuple[int, str]:
        """Apply the limits; one replica more and one fewer are always allowed."""
        scaling = self._scaling
        floor = min(current - 1, math.ceil(current * scaling.max_downscale_factor))
        ceiling = max(current + 1, math.ceil(current * scaling.max_upscale_factor))
        bounds = (
            ("max_downscale_factor", max(recommendation, floor)),
            ("max_upscale_factor", min(max(recommendation, floor), ceiling)),
        )
        rule = next((name for name, bounded in bounds if bounded != recommendation), "tolerance")
        bounded = min(max(bounds[-1][1], scaling.min_replicas), scaling.max_replicas)
        if bounded != bounds[-1][1]:
            rule = "min_replicas" if bounded == scaling.min_replicas else "max_replicas"
        return bounded, rule


def _stay(sample: Sample, rule: str, because: str) -> Decision:
    requested = sample.requested
    return Decision(
        at=sample.now, was=requested, wanted=requested, replicas=requested, rule=rule, because=because
    )
