"""Workloads, rules and policies for tests."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from random import Random
from typing import Any

from gyrus.autoscaling.policy import Decision, Policy, Sample
from gyrus.simulator.engine import simulate
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.policies.fixed import FixedPolicy
from gyrus.simulator.run import Run
from gyrus.simulator.service import Fixed


def offered_load(*requests: tuple[float, float], start: float = 0.0) -> OfferedLoad:
    """Of pairs of arrival and service time."""
    arrivals, services = zip(*sorted(requests, key=itemgetter(0)), strict=True)
    return OfferedLoad(name="test", start=start, arrivals=arrivals, services=services)


def poisson(rate: float, number: int, service: float, *, exponential: bool, seed: int = 1) -> OfferedLoad:
    random = Random(seed)
    arrivals: list[float] = []
    now = 0.0
    for _ in range(number):
        now += random.expovariate(rate)
        arrivals.append(now)
    services = [random.expovariate(1 / service) if exponential else service for _ in range(number)]
    return OfferedLoad(name="poisson", start=0.0, arrivals=arrivals, services=services)


def rules(**changes: Any) -> ServingRules:
    usual: dict[str, Any] = {
        "slots": 1, "longest_queue": 100, "timeout": 60.0, "hold": 60.0, "initial": 1, "startup": Fixed(1.0),
    }  # fmt: skip
    return ServingRules(**usual | changes)


class Script:
    """So many replicas from each time on; keeps what it was shown."""

    every = 1.0

    def __init__(self, *steps: tuple[float, int], initial: int = 1) -> None:
        self.initial = initial
        self._steps = steps
        self.samples: list[Sample] = []

    def decide(self, sample: Sample) -> Decision:
        self.samples.append(sample)
        replicas = self.initial
        for since, number in self._steps:
            replicas = number if sample.now >= since else replicas
        return Decision(
            at=sample.now, was=sample.requested, wanted=replicas, replicas=replicas, rule="", because=""
        )


class OnDemand(Script):
    """From none to one as soon as a request waits."""

    def __init__(self) -> None:
        super().__init__(initial=0)

    def decide(self, sample: Sample) -> Decision:
        self.initial = 1 if sample.in_flight else self.initial
        return super().decide(sample)


def simulated(requests: OfferedLoad, policy: Policy | int, **changes: Any) -> Run:
    """``policy`` may be a fixed number of replicas."""
    return simulate(requests, rules(**changes), FixedPolicy(policy) if isinstance(policy, int) else policy)


def waits(run: Run) -> list[float]:
    return [begun - arrival for begun, arrival in zip(run.begun, run.offered_load.arrivals, strict=True)]


def ends(run: Run) -> Sequence[float]:
    return [begun + service for begun, service in zip(run.begun, run.offered_load.services, strict=True)]
