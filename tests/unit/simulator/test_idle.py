"""Spans without traffic: simulated fast, with the same figures."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from gyrus.simulator import idle
from gyrus.simulator.baselines import PolicyContext, make
from gyrus.simulator.engine import simulate
from gyrus.simulator.figures import of_run
from gyrus.simulator.idle import AROUND, SPARSE, IdleSpans
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.run import Run
from gyrus.simulator.service import Fixed
from gyrus.spec.load import check
from gyrus.spec.realtime import RealtimeSpec
from support.simulations import offered_load

FAR = 8 * 3600.0
"""Seconds between two bursts."""
BURSTS = offered_load(*((burst * FAR + n / 4, 1.0) for burst in range(3) for n in range(100)))


def spec() -> RealtimeSpec:
    [checked] = check(
        [
            {
                "name": "chat",
                "kind": "RealtimeAPI",
                "handler": {"path": "handler.py"},
                "autoscaling": {"min_replicas": 0, "max_replicas": 9},
            }
        ],
        "test",
    )
    assert isinstance(checked, RealtimeSpec)
    return checked


def run(policy: str, load: OfferedLoad = BURSTS) -> Run:
    api = spec()
    startup = Fixed(8.0)
    made = make(policy, PolicyContext(spec=api, offered_load=load, startup=8.0))
    return simulate(load, ServingRules.of(api, startup), made, policy)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["gyrus", "cortex", "kpa", "hpa", "clairvoyant"])
def test_the_figures_are_those_of_every_single_decision(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = of_run(run(policy))
    monkeypatch.setattr(idle, "AROUND", math.inf)
    assert sparse == of_run(run(policy))


def test_a_span_without_traffic_keeps_few_samples() -> None:
    looks = run("gyrus").looks
    assert len(looks) < 1500, "two spans of 28,800 s, with equal samples in a row"
    assert all(one.at <= other.at for one, other in pairwise(looks))


SPANS = IdleSpans.of(2.0, 8.0)


def test_decisions_are_sparse_only_far_from_requests() -> None:
    assert SPANS.next(4802.0, 0.0, 90_000.0) == 4802.0 + SPARSE
    assert SPANS.next(4804.0, 0.0, 90_000.0) == 4806.0, "not a minute after the first one"
    assert SPANS.next(AROUND - 58, 0.0, 90_000.0) == AROUND - 56, "soon after a request"
    assert SPANS.next(84_002.0, 0.0, 84_002.0 + AROUND) == 84_004.0, "soon before the next one"
    assert SPANS.next(2.0, 0.0, math.inf) == 4.0


def test_they_stay_on_the_policy_s_grid() -> None:
    assert IdleSpans.of(45.0, 8.0).next(4500.0, 0.0, math.inf) == 4545.0
    assert IdleSpans.of(90.0, 8.0).next(4500.0, 0.0, math.inf) == 4590.0


def test_a_long_start_up_widens_the_time_before_a_request() -> None:
    assert IdleSpans.of(1.0, 3600.0).around == 36_000.0
