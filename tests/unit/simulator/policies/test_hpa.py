"""Worked by hand along ``GetResourceReplicas`` and the default behaviour of ``autoscaling/v2``."""

from __future__ import annotations

from typing import Any

from gyrus.simulator.policies.hpa import HpaPolicy
from support.traffic import Api, api


def under(requested: int = 1, **autoscaling: Any) -> Api:
    return Api(HpaPolicy(api(**autoscaling)), requested=requested)


def test_it_decides_each_fifteen_seconds() -> None:
    chat = under(requested=4)
    chat.see(4.0, seconds=60)
    changed = [
        at for at, (old, new) in enumerate(zip([4, *chat.numbers], chat.numbers, strict=False)) if old != new
    ]
    assert all(at % 15 == 0 for at in changed)
    assert changed


def test_busy_slots_are_aimed_at_eighty_per_cent() -> None:
    assert under(requested=10).see(8.0, seconds=200).replicas == 10
    assert under(requested=10).see(9.5, seconds=100).replicas == 12


def test_a_tenth_more_or_less_is_tolerated() -> None:
    assert under(requested=10).see(8.7, seconds=200).replicas == 10
    assert under(requested=10).see(7.3, seconds=400).replicas == 10


def test_a_queue_is_not_seen() -> None:
    """A replica that is full looks full, whatever waits: from 1 by a quarter, rounded up."""
    chat = under()
    assert chat.see(1000.0).replicas == 2
    assert chat.see(1000.0, seconds=29).replicas == 2, "the second is not measured yet"
    assert chat.see(1000.0).replicas == 3


def test_replicas_that_are_not_ready_count_as_idle_against_going_up() -> None:
    chat = under(requested=4)
    chat.startup = 1000.0
    chat.see(100.0, seconds=31)
    assert chat.requested == 5, "4 of 5 busy is what is aimed at"


def test_four_or_twice_as_many_within_a_period() -> None:
    few, many = under(requested=2, min_replicas=2), under(requested=10)
    few.policy = HpaPolicy(api(min_replicas=20))
    assert few.see(1.0).replicas == 20, "the least holds at once"
    many.see(10.0)
    assert many.requested == 13


def test_down_only_after_five_minutes() -> None:
    chat = under(requested=10)
    chat.see(8.0, seconds=30)
    assert chat.see(2.0, seconds=290).replicas == 10
    assert chat.see(2.0, seconds=60).replicas == 3


def test_it_cannot_go_to_zero() -> None:
    assert under(min_replicas=0).see(0.0, seconds=1000).replicas == 1
