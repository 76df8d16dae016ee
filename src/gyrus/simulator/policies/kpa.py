"""The pod autoscaler of Knative Serving, with the defaults of its ``config-autoscaler``.

https://github.com/knative/serving/blob/main/pkg/autoscaler/scaling/autoscaler.go (``Scale``),
``pkg/autoscaler/aggregation/bucketing.go`` (``WindowAverage``), ``pkg/reconciler/autoscaling/kpa/scaler.go``
(``handleScaleToZero``), ``config/core/configmaps/autoscaler.yaml`` (the numbers below). Excess burst capacity
is left out: it decides whether the activator stays in the path, not how many pods there are.
"""

from __future__ import annotations

import math

from gyrus.autoscaling.policy import Decision, Sample
from gyrus.autoscaling.windows import Average
from gyrus.spec.realtime import RealtimeSpec

TICK = 2.0
STABLE_WINDOW = 60.0
PANIC_WINDOW = STABLE_WINDOW * 0.10
"""Seconds, all three."""
PANIC_THRESHOLD = 2.0
TARGET_UTILISATION = 0.70
"""Share of ``containerConcurrency``, which is the YAML's ``max_concurrency``."""
TARGET_WITHOUT_LIMIT = 100 * TARGET_UTILISATION
"""``container-concurrency-target-default``, for replicas without a limit."""
MAX_SCALE_UP_RATE = 1000.0
MAX_SCALE_DOWN_RATE = 2.0
GRACE = 30.0
"""Seconds from putting the activator before an idle revision until its last pod stops."""


class KpaPolicy:
    """A policy that averages concurrency in buckets of one second and decides every two."""

    every = 1.0

    def __init__(self, spec: RealtimeSpec) -> None:
        self._least = spec.autoscaling.min_replicas
        self._most = spec.autoscaling.max_replicas
        self._target = spec.slots * TARGET_UTILISATION if spec.slots else TARGET_WITHOUT_LIMIT
        self._stable = Average(STABLE_WINDOW)
        self._panic = Average(PANIC_WINDOW)
        self._panicked_at: float | None = None
        self._most_in_panic = 0
        self._idle_since: float | None = None
        self._next = -math.inf

    def decide(self, sample: Sample) -> Decision:
        stable = self._stable.add(sample.now, sample.in_flight)
        panic = self._panic.add(sample.now, sample.in_flight)
        woken = sample.requested == 0 and sample.in_flight > 0
        if sample.now < self._next and not woken:
            return self._decided(
                sample, sample.requested, sample.requested, "tick", f"decides every {TICK:g} s"
            )
        if self._next == -math.inf and sample.ready > 1:
            self._panicked_at, self._most_in_panic = sample.now, sample.ready  # history was lost: hold
        self._next = sample.now + TICK
        return self._tick(sample, stable, panic)

    def _tick(self, sample: Sample, stable: float, panic: float) -> Decision:
        ready = max(1, sample.ready)
        highest = math.ceil(MAX_SCALE_UP_RATE * ready)
        lowest = math.floor(ready / MAX_SCALE_DOWN_RATE)
        for_stable, for_panic = math.ceil(stable / self._target), math.ceil(panic / self._target)
        self._follow_panic(sample.now, over=for_panic / ready >= PANIC_THRESHOLD)
        desired = min(max(for_stable, lowest), highest)
        rule = "max_scale_down_rate" if desired > for_stable else ""
        if self._panicked_at is not None:
            desired = max(desired, min(max(for_panic, lowest), highest))
            self._most_in_panic = max(self._most_in_panic, desired)
            desired, rule = self._most_in_panic, "panic"
        bounded = self._at_zero(sample, min(max(desired, self._least), self._most))
        rule = rule if bounded == desired else "bounds"
        because = f"{rule}: {stable:.2f} in flight, {panic:.2f} in the panic window, target {self._target:g}"
        inputs = {"average": stable, "panic_average": panic}
        return self._decided(sample, for_stable, bounded, rule, because, inputs)

    def _follow_panic(self, now: float, *, over: bool) -> None:
        if over:
            self._panicked_at = now
        elif self._panicked_at is not None and self._panicked_at + STABLE_WINDOW < now:
            self._panicked_at, self._most_in_panic = None, 0

    def _at_zero(self, sample: Sample, desired: int) -> int:
        """Keep the last pod for the grace period."""
        if desired > 0 or sample.requested == 0:
            self._idle_since = None
            return desired
        if self._idle_since is None:
            self._idle_since = sample.now
        return 0 if sample.now - self._idle_since >= GRACE else 1

    @staticmethod
    def _decided(
        sample: Sample,
        wanted: int,
        replicas: int,
        rule: str,
        because: str,
        inputs: dict[str, float] | None = None,
    ) -> Decision:
        limited = replicas != wanted or rule == "tick"
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=wanted,
            replicas=replicas,
            rule=rule if limited else "",
            because=because if limited else "",
            inputs=inputs or {},
        )
