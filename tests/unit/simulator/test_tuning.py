"""The search finds what meets the goal, and costs less than what there is."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.service import Fixed
from gyrus.simulator.tuning import Goal, Tuned, tune, with_settings
from gyrus.spec.load import check
from gyrus.spec.realtime import RealtimeSpec
from support.simulations import poisson

pytestmark = pytest.mark.slow


def spec(**autoscaling: Any) -> RealtimeSpec:
    api = {
        "name": "chat",
        "kind": "RealtimeAPI",
        "handler": {"path": "handler.py"},
        "autoscaling": autoscaling,
    }
    [checked] = check([api], "test")
    assert isinstance(checked, RealtimeSpec)
    return checked


WORK = poisson(4.0, 600, 1.0, exponential=False)


def tuned(api: RealtimeSpec, allowed: float, work: OfferedLoad = WORK) -> tuple[Tuned, list[tuple[int, int]]]:
    reported: list[tuple[int, int]] = []
    goal = Goal(slo=None, allowed=allowed)
    rules = ServingRules.of(api, Fixed(5.0))

    def report(tried: int, most: int, share: float) -> None:
        if share == 0.0:
            reported.append((tried, most))

    return tune(api, work, rules, goal, report), reported


def test_what_costs_too_much_gets_cheaper_and_still_meets_the_goal() -> None:
    found, reported = tuned(spec(min_replicas=30), 0.02)
    assert found.met
    assert found.best.slo_miss_ratio <= 0.02
    assert found.best.replica_seconds < 0.5 * found.present.replica_seconds
    assert found.changes["min_replicas"] < 30
    assert reported == [(number + 1, reported[0][1]) for number in range(found.tried)]
    assert found.tried <= reported[0][1]


def test_what_misses_too_much_is_given_more() -> None:
    found, _ = tuned(spec(max_upscale_factor=1.1, panic_threshold=None), 0.05)
    assert found.present.slo_miss_ratio > 0.05
    assert found.met


def test_where_the_goal_is_out_of_reach_the_nearest_is_reported() -> None:
    found, _ = tuned(spec(max_replicas=2), 0.0)
    assert not found.met
    assert found.best.slo_misses <= found.present.slo_misses


def test_it_is_the_same_each_time_and_the_changes_are_what_was_found() -> None:
    api = spec(min_replicas=30)
    found, _ = tuned(api, 0.02)
    assert tuned(api, 0.02)[0] == found
    again = spec(**{"min_replicas": 30, **found.changes})
    assert again.autoscaling == found.spec.autoscaling


def test_other_settings_stay() -> None:
    api = spec(min_replicas=3, max_replicas=7)
    changed = with_settings(api, {"min_replicas": 1})
    assert (changed.autoscaling.min_replicas, changed.autoscaling.max_replicas) == (1, 7)
    assert api.autoscaling.min_replicas == 3
