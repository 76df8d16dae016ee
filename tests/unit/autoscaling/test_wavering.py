"""Under a load that wavers, replicas stay for the next crest: they are not let go and ordered again."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from gyrus.autoscaling.default import DefaultPolicy
from gyrus.simulator.engine import simulate
from gyrus.simulator.figures import of_run
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.service import Fixed
from support.simulations import offered_load
from support.traffic import api

pytestmark = pytest.mark.slow

LOAD = 25
"""Slots, on average; it swings by 40 % of that."""
SWING = 0.4
SETTLED = 1800.0
END = 3600.0
"""Seconds: what is learned fades over half an hour; then another is looked at."""


def wavering(period: float) -> OfferedLoad:
    """Requests of a second, at random."""
    draw, now = random.Random(period), 0.0
    arrivals: list[float] = []
    while now < END:
        now += draw.expovariate(LOAD * (1 + SWING))
        if draw.random() * (1 + SWING) < 1 + SWING * math.sin(2 * math.pi * now / period):
            arrivals.append(now)
    return offered_load(*((arrival, 1.0) for arrival in arrivals))


@pytest.mark.parametrize("period", [450, 600])
def test_the_number_of_replicas_does_not_follow_every_wave(period: float) -> None:
    spec, load = api(), wavering(period)
    run = simulate(load, ServingRules.of(spec, Fixed(8.0)), DefaultPolicy(spec.scaling))
    numbers = [look.requested for look in run.looks if SETTLED <= look.at < END]
    changes = sum(new != old for old, new in pairwise(numbers))
    assert changes <= 3
    assert LOAD * (1 + SWING) < numbers[-1] < LOAD * (1 + SWING) * 1.6
    assert of_run(run).slo_miss_ratio < 0.05
