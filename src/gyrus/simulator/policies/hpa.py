"""The horizontal pod autoscaler of Kubernetes (``autoscaling/v2``) on CPU utilisation, at its defaults.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/ and, in
kubernetes/kubernetes, ``pkg/controller/podautoscaler/replica_calculator.go`` (``GetResourceReplicas``),
``horizontal.go`` (``normalizeDesiredReplicasWithBehaviors``) and ``pkg/apis/autoscaling/v2/defaults.go``. The
share of busy slots stands for the CPU: a full replica uses all that it requested and never more, so that the
policy does not see a queue. The target is 80 %, the API server's default. Utilisation is that of the latest
metrics-server resolution, 15 s, of the pods that were ready all that time; the others are not measured yet. A
resource metric cannot scale to zero: the minimum is one.
"""

from __future__ import annotations

import math
from collections import deque

from gyrus.autoscaling.policy import Decision, Sample
from gyrus.autoscaling.windows import Average, Extreme
from gyrus.spec.realtime import RealtimeSpec

SYNC = 15.0
RESOLUTION = 15.0
"""Seconds, both."""
TARGET = 0.80
TOLERANCE = 0.1
DOWNSCALE_STABILISATION = 300.0
PERIOD = 15.0
"""Seconds of stabilisation, and of each scaling policy."""
MOST_ADDED = 4
MOST_GROWTH = 2.0
"""Growth within a period: this many pods, or this many times the pods; the larger one applies."""


class HpaPolicy:
    every = 1.0

    def __init__(self, spec: RealtimeSpec) -> None:
        self._least = max(1, spec.autoscaling.min_replicas)
        self._most = spec.autoscaling.max_replicas
        self._slots = spec.slots or spec.target_in_flight
        self._busy = Average(RESOLUTION)
        self._ready = Average(RESOLUTION)
        self._measured = Extreme(RESOLUTION, highest=False)
        self._highest = Extreme(DOWNSCALE_STABILISATION, highest=True)
        self._added: deque[tuple[float, int]] = deque()
        self._next = -math.inf

    def decide(self, sample: Sample) -> Decision:
        busy, ready = self._busy.add(sample.now, sample.busy), self._ready.add(sample.now, sample.ready)
        measured = int(self._measured.add(sample.now, sample.ready))
        if sample.now < self._next and sample.requested:
            return self._decided(
                sample, sample.requested, sample.requested, "sync", f"decides every {SYNC:g} s", busy
            )
        self._next = sample.now + SYNC
        usage = busy / (ready * self._slots) if ready else 0.0
        desired = min(max(self._desired(sample.requested, measured, usage), self._least), self._most)
        highest = int(self._highest.add(sample.now, desired))
        stable = max(desired, min(highest, sample.requested))
        limit = self._limit(sample)
        replicas = max(min(stable, limit), self._least)
        self._note(sample, replicas)
        rule = "scale_up_limit" if replicas < stable else "downscale_stabilisation"
        return self._decided(sample, desired, replicas, rule, f"{rule}: {busy:.2f} slots busy", busy)

    def _desired(self, current: int, measured: int, usage: float) -> int:
        """Follow ``GetResourceReplicas``: unmeasured pods count as idle, but only when scaling up."""
        measured = min(measured, current)
        if measured == 0:
            return current  # no metrics: no change
        ratio, counted = usage / TARGET, measured
        if measured < current and ratio > 1:
            ratio, counted = ratio * measured / current, current
            if ratio < 1:
                return current  # counting them would turn the direction
        if abs(1 - ratio) <= TOLERANCE:
            return current
        return math.ceil(ratio * counted - 1e-9)

    def _limit(self, sample: Sample) -> int:
        while self._added and self._added[0][0] <= sample.now - PERIOD:
            self._added.popleft()
        before = sample.requested - sum(number for _, number in self._added)
        limit = max(before + MOST_ADDED, math.ceil(before * MOST_GROWTH))
        return max(limit, sample.requested)

    def _note(self, sample: Sample, replicas: int) -> None:
        if replicas > sample.requested:
            self._added.append((sample.now, replicas - sample.requested))

    @staticmethod
    def _decided(
        sample: Sample, wanted: int, replicas: int, rule: str, because: str, busy: float
    ) -> Decision:
        limited = replicas != wanted or rule == "sync"
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=wanted,
            replicas=replicas,
            rule=rule if limited else "",
            because=because if limited else "",
            inputs={"busy": busy},
        )
