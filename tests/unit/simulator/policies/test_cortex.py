"""Worked by hand along ``autoscaleFn`` of Cortex 0.42."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from gyrus.simulator.policies.cortex import CortexPolicy
from support.traffic import Api, api


def under(requested: int = 1, **autoscaling: Any) -> Api:
    return Api(CortexPolicy(api(**autoscaling)), requested=requested)


def changes(chat: Api) -> list[tuple[int, int]]:
    """Seconds from the first decision, and what was requested from then on."""
    numbers = [1, *chat.numbers]
    return [(at, new) for at, (old, new) in enumerate(pairwise(numbers)) if new != old]


def test_it_climbs_by_half_a_minute_at_a_time() -> None:
    """The lowest recommendation of the last minute is the one before the last step, times 1.5."""
    chat = under()
    chat.see(10.0, seconds=260)
    assert changes(chat) == [(60, 2), (130, 3), (200, 5)]


def test_nothing_moves_in_its_first_minute_or_its_first_five_minutes() -> None:
    up, down = under(), under(requested=5)
    up.see(10.0, seconds=60)
    assert set(up.numbers) == {1}
    down.see(1.0, seconds=300)
    assert set(down.numbers) == {5}
    assert down.see(1.0, seconds=10).replicas == 4


def test_recommendations_are_bound_before_they_are_remembered_so_that_it_falls_slowly() -> None:
    """Each step down is remembered as a recommendation, and holds for five minutes more."""
    chat = under(requested=16)
    chat.see(0.5, seconds=1000)
    steps = [(at, new) for at, new in changes(chat) if at]
    assert [new for _, new in steps] == [12, 9, 7]
    assert all(later - earlier >= 300 for (earlier, _), (later, _) in pairwise(steps))


def test_the_activator_wakes_it_at_once() -> None:
    chat = under(requested=0, min_replicas=0)
    chat.see(0.0, seconds=3)
    assert chat.see(1.0).replicas == 1


def test_the_yaml_s_bounds_hold() -> None:
    assert under(requested=2, min_replicas=4).see(1.0, seconds=100).replicas >= 3
    many = under(requested=4, max_replicas=5)
    many.see(50.0, seconds=1000)
    assert max(many.numbers) == 5
