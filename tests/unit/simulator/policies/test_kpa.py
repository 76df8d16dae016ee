"""Worked by hand along ``Scale`` of Knative Serving's ``autoscaler.go``."""

from __future__ import annotations

from typing import Any

from gyrus.simulator.policies.kpa import KpaPolicy
from support.traffic import Api, api


def under(requested: int = 1, max_concurrency: int | None = 1, **autoscaling: Any) -> Api:
    return Api(KpaPolicy(api(max_concurrency=max_concurrency, **autoscaling)), requested=requested)


def test_it_aims_at_seventy_per_cent_of_the_concurrency() -> None:
    assert under(requested=5).see(3.5, seconds=120).replicas == 5
    assert under(requested=5).see(3.6, seconds=120).replicas == 6
    assert under(requested=2, max_concurrency=10).see(21.0, seconds=120).replicas == 3


def test_twice_what_is_ready_is_panic_and_followed_at_once() -> None:
    chat = under()
    chat.see(0.5, seconds=60)
    assert chat.see(7.0, seconds=2).replicas >= 3
    assert chat.see(7.0, seconds=6).replicas == 10


def test_in_panic_nothing_falls_until_a_stable_window_has_passed() -> None:
    chat = under()
    chat.see(0.5, seconds=60)
    chat.see(7.0, seconds=10)
    assert chat.see(0.5, seconds=55).replicas == 10
    assert chat.see(0.5, seconds=30).replicas < 10


def test_it_halves_at_most_each_time() -> None:
    chat = under(requested=16)
    chat.see(0.1, seconds=200)
    steps = [number for number, last in zip(chat.numbers, [0, *chat.numbers], strict=False) if number != last]
    assert steps == [16, 8, 4, 2, 1]


def test_a_lost_history_holds_what_is_ready() -> None:
    chat = under(requested=6)
    assert chat.see(0.1, seconds=60).replicas == 6


def test_the_last_pod_goes_after_the_grace_period() -> None:
    chat = under(min_replicas=0)
    chat.see(1.0, seconds=10)
    chat.see(0.0, seconds=400)
    last = max(at for at, number in enumerate(chat.numbers) if number == 1)
    wanted_none = min(at for at, decision in enumerate(chat.decisions) if at > 10 and decision.wanted == 0)
    assert chat.numbers[-1] == 0
    assert 29 <= last - wanted_none <= 32


def test_the_yaml_s_bounds_hold() -> None:
    chat = under(min_replicas=2, max_replicas=4)
    chat.follow([*[0.0] * 100, *[50.0] * 100])
    assert min(chat.numbers) == 2
    assert max(chat.numbers) == 4
