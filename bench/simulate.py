"""Speed of a simulation: a million requests, up to ten thousand replicas. The aim is 60 s on one core."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from random import Random

import machine
from table import render

from gyrus.simulator.baselines import PolicyContext, make
from gyrus.simulator.engine import simulate
from gyrus.simulator.figures import Figures, of_run
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.service import Fixed
from gyrus.spec.load import loads
from gyrus.spec.realtime import RealtimeSpec

AIM = 60.0
"""Seconds for a million requests."""
YAML = """
- name: bench
  kind: RealtimeAPI
  handler: {path: handler.py}
  timeout: 600s
  autoscaling: {max_replicas: 10000}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Poisson arrivals whose rate swings between a half and one and a half of the average."""

    name: str
    policy: str
    busy: float
    """Average work, in busy replicas."""
    service: float
    """Mean seconds of a request, exponentially distributed."""


CASES = (
    Case("30 busy replicas", "gyrus", 30, 1.0),
    Case("30 busy replicas", "kpa", 30, 1.0),
    Case("30 busy replicas, too few", "fixed:28", 30, 1.0),
    Case("6,000 busy replicas", "gyrus", 6_000, 10.0),
    Case("6,000 busy of 10,000 replicas", "fixed:10000", 6_000, 10.0),
)


def offered_load(case: Case, number: int) -> OfferedLoad:
    random = Random(1)
    rate = case.busy / case.service
    period = number / rate / 3
    arrivals: list[float] = []
    now = 0.0
    for _ in range(number):
        phase = now % period / period
        swing = 0.5 + 2 * min(phase, 1 - phase)
        now += random.expovariate(rate * swing)
        arrivals.append(now)
    services = [random.expovariate(1 / case.service) for _ in range(number)]
    return OfferedLoad(name=case.name, start=0.0, arrivals=arrivals, services=services)


def simulated(case: Case, number: int) -> tuple[Figures, float]:
    [spec] = loads(YAML, "bench")
    assert isinstance(spec, RealtimeSpec)
    work = offered_load(case, number)
    rules = ServingRules.of(spec, Fixed(8.0))
    policy = make(case.policy, PolicyContext(spec=spec, offered_load=work, startup=8.0))
    began = time.process_time()
    figures = of_run(simulate(work, rules, policy, case.policy))
    return figures, time.process_time() - began


def _row(case: Case, figures: Figures, seconds: float) -> tuple[str, ...]:
    return (
        case.name,
        case.policy,
        f"{seconds:.1f}",
        f"{seconds / figures.requests * 1e6:.1f}",
        f"{figures.peak_replicas:,}",
        f"{figures.replica_hours:,.0f}",
        f"{figures.slo_miss_ratio:.1%}",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    number: int = parser.parse_args().requests
    rows: list[tuple[str, ...]] = []
    slowest = 0.0
    for case in CASES:
        figures, seconds = simulated(case, number)
        slowest = max(slowest, seconds / number * 1e6)
        rows.append(_row(case, figures, seconds))
    print(machine.description())
    print(render(("load", "policy", "CPU s", "µs per request", "peak", "replica-hours", "misses"), rows))
    return 0 if slowest <= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
