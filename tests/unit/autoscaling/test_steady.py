"""Under a steady load the number of replicas settles, with real queues in virtual time."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from gyrus.autoscaling.default import DefaultPolicy
from gyrus.simulator.engine import simulate
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.run import Run
from gyrus.simulator.service import Fixed
from support.simulations import offered_load
from support.traffic import api

pytestmark = pytest.mark.slow

SETTLED = 1800.0
END = 5400.0
"""Seconds: what is learned fades over half an hour; then an hour is looked at."""


def steady(load: float, service: float, *, chance: bool) -> OfferedLoad:
    """``load`` slots on average. ``chance``: at random, else evenly spaced."""
    number, draw = round(load / service * END), random.Random(f"{load} {service}")
    even = (END * place / number for place in range(number))
    arrivals = sorted(draw.uniform(0, END) for _ in range(number)) if chance else even
    return offered_load(*((arrival, service) for arrival in arrivals))


def simulated(work: OfferedLoad) -> Run:
    spec = api()
    return simulate(work, ServingRules.of(spec, Fixed(8.0)), DefaultPolicy(spec.scaling))


@pytest.mark.parametrize("chance", [True, False], ids=["at random", "evenly"])
@pytest.mark.parametrize(
    ("load", "service"),
    [(0.5, 0.2), (1.0, 0.2), (2.0, 0.2), (0.5, 1.0), (1.0, 1.0), (5.0, 1.0), (13.0, 1.0), (50.0, 2.0)],
)
def test_the_number_of_replicas_changes_at_most_once_after_settling(
    load: float, service: float, chance: bool
) -> None:
    run = simulated(steady(load, service, chance=chance))
    numbers = [look.requested for look in run.looks if SETTLED <= look.at < END]
    changes = sum(new != old for old, new in pairwise(numbers))
    assert changes <= 1
    assert load <= numbers[-1] <= load + 3 * load**0.5 + 1


def test_at_random_hardly_any_request_waits() -> None:
    work = steady(13.0, 1.0, chance=True)
    run = simulated(work)
    late = [
        begun - arrival for begun, arrival in zip(run.begun, work.arrivals, strict=True) if arrival > SETTLED
    ]
    assert sum(wait > 1.0 for wait in late) < 0.01 * len(late)
