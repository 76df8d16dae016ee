"""Each setting does what its text promises, each decision has a reason, and invariants hold."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.autoscaling.default import DefaultPolicy
from gyrus.autoscaling.policy import Decision, Sample
from support.examples import examples
from support.traffic import STILL, Api, api


def under(requested: int = 1, **autoscaling: Any) -> Api:
    return Api(DefaultPolicy(api(**autoscaling).scaling), requested=requested)


def settled(load: float, requested: int, **autoscaling: Any) -> Api:
    """By Cortex's rules alone, after ten minutes of a load."""
    chat = under(requested, **{**STILL, **autoscaling})
    chat.see(load, seconds=600)
    return chat


# Cortex's fields


def test_a_load_as_high_as_the_replicas_changes_nothing() -> None:
    chat = settled(4.0, requested=4)
    assert chat.numbers == [4] * 600
    assert chat.decisions[-1].rule == ""
    assert str(chat.decisions[-1]) == "desired 4, set to 4"


def test_up_only_after_the_upscale_stabilization_period() -> None:
    chat = settled(4.0, requested=4, window="1s", upscale_stabilization_period="30s")
    decision = chat.see(6.0, seconds=30)
    assert str(decision) == "desired 6, set to 4: lowest recommendation of 30s is 4"
    assert decision.rule == "upscale_stabilization_period"
    assert chat.see(6.0, seconds=2).replicas == 6


def test_a_dip_begins_the_upscale_stabilization_period_again() -> None:
    chat = settled(4.0, requested=4, window="1s", upscale_stabilization_period="30s")
    chat.see(6.0, seconds=25)
    chat.see(4.0)
    assert chat.see(6.0, seconds=30).replicas == 4
    assert chat.see(6.0, seconds=3).replicas == 6


def test_down_only_after_the_downscale_stabilization_period() -> None:
    chat = settled(4.0, requested=4, window="1s", downscale_stabilization_period="2m")
    decision = chat.see(3.0, seconds=119)
    assert str(decision) == "desired 3, set to 4: highest recommendation of 2m is 4"
    assert decision.rule == "downscale_stabilization_period"
    assert chat.see(3.0, seconds=3).replicas == 3


@pytest.mark.parametrize(("window", "seconds"), [("10s", 10), ("1m", 60)])
def test_the_average_is_over_the_window(window: str, seconds: int) -> None:
    chat = settled(4.0, requested=4, window=window)
    assert chat.see(8.0, seconds=seconds // 2).inputs["average"] == pytest.approx(6.0)
    assert chat.see(8.0, seconds=seconds // 2).inputs["average"] == pytest.approx(8.0)


@pytest.mark.parametrize(("target", "wanted"), [(None, 8), (2.0, 4), (0.5, 16)])
def test_so_many_in_flight_are_aimed_at(target: float | None, wanted: int) -> None:
    assert settled(8.0, requested=8, target_in_flight=target).decisions[-1].wanted == wanted


def test_the_target_is_max_concurrency_by_default() -> None:
    chat = Api(DefaultPolicy(api(max_concurrency=4, **STILL).scaling), requested=2)
    assert chat.see(8.0, seconds=400).replicas == 2


def test_a_decision_multiplies_by_max_upscale_factor_at_most() -> None:
    quick = {"window": "1s", "upscale_stabilization_period": "0s"}
    chat = settled(3.0, requested=3, max_upscale_factor=1.5, **quick)
    decision = chat.see(9.0)
    assert str(decision) == "desired 9, set to 5: upscale factor 1.5 from 3"
    assert decision.rule == "max_upscale_factor"
    assert chat.see(9.0).replicas == 8
    assert settled(3.0, requested=3, max_upscale_factor=2.0, **quick).see(9.0).replicas == 6
    assert settled(1.0, requested=1, max_upscale_factor=1.1, **quick).see(9.0).replicas == 2


def test_a_decision_multiplies_by_max_downscale_factor_at_least() -> None:
    quick = {"window": "1s", "downscale_stabilization_period": "0s"}
    chat = settled(8.0, requested=8, max_downscale_factor=0.75, **quick)
    decision = chat.see(1.0)
    assert str(decision) == "desired 1, set to 6: downscale factor 0.75 from 8"
    assert decision.rule == "max_downscale_factor"
    assert settled(8.0, requested=8, max_downscale_factor=0.25, **quick).see(1.0).replicas == 2
    assert settled(2.0, requested=2, max_downscale_factor=0.9, **quick).see(1.0).replicas == 1


@pytest.mark.parametrize(("tolerance", "replicas"), [(0.05, 20), (0.01, 21)])
def test_what_is_little_above_is_tolerated(tolerance: float, replicas: int) -> None:
    chat = settled(20.0, requested=20, upscale_tolerance=tolerance)
    decision = chat.see(20.9, seconds=200)
    assert decision.replicas == replicas
    assert decision.rule == ("upscale_tolerance" if replicas == 20 else "")


@pytest.mark.parametrize(("tolerance", "replicas"), [(0.1, 20), (0.02, 19)])
def test_what_is_little_below_is_tolerated(tolerance: float, replicas: int) -> None:
    chat = settled(20.0, requested=20, downscale_tolerance=tolerance)
    decision = chat.see(18.9, seconds=400)
    assert decision.replicas == replicas
    assert decision.rule == ("downscale_tolerance" if replicas == 20 else "")


def test_the_least_and_the_most_hold() -> None:
    least = settled(1.0, requested=5, min_replicas=3).decisions[-1]
    assert (least.replicas, least.rule, least.because) == (3, "min_replicas", "min_replicas is 3")
    most = settled(50.0, requested=5, max_replicas=7, window="1s").decisions[-1]
    assert (most.replicas, most.rule, most.because) == (7, "max_replicas", "max_replicas is 7")


def test_the_rule_that_stays_is_named_before_one_that_ends() -> None:
    """Both give the same number, and only a change of the settings would change it."""
    new = under(requested=2, min_replicas=2).see(0.0, seconds=100)
    assert str(new) == "desired 0, set to 2: min_replicas is 2"
    idle = settled(1.0, requested=1).see(0.0, seconds=100)
    assert str(idle) == "desired 0, set to 1: min_replicas is 1"
    limited = settled(2.0, requested=2, max_replicas=3, window="1s").see(9.0, seconds=70)
    assert str(limited) == "desired 9, set to 3: max_replicas is 3"
    assert limited.rule == "max_replicas"


def test_a_new_operator_holds_what_there_is_until_it_knows_better() -> None:
    chat = under(requested=9, min_replicas=0)
    held = chat.see(0.0, seconds=300)
    assert held.replicas == 9
    assert held.because.startswith("the traffic has been known for only 299s")
    assert chat.see(0.0, seconds=60).replicas == 0


def test_a_first_look_that_is_out_of_all_measure_orders_nothing() -> None:
    chat = settled(2.0, requested=2, panic_threshold=2.0)
    assert chat.see(11.0).replicas == 2


# From zero, to zero


def test_a_held_request_wakes_an_idle_api_at_once() -> None:
    chat = under(requested=0, min_replicas=0)
    assert chat.see(0.0, seconds=100).replicas == 0
    assert chat.see(0.01).replicas == 1


@pytest.mark.parametrize("forecast", [True, False])
def test_the_last_replica_goes_when_nothing_was_in_flight_for_the_whole_period(forecast: bool) -> None:
    chat = under(min_replicas=0, downscale_stabilization_period="2m", forecast=forecast)
    chat.see(1.0, seconds=200)
    for _ in range(5):
        assert chat.see(0.0, seconds=119).replicas >= 1
        chat.see(0.001)
    assert chat.see(0.0, seconds=119).replicas == 1
    assert chat.see(0.0, seconds=2).replicas == 0
    assert chat.see(0.0, seconds=1000).replicas == 0


def test_it_reports_how_long_it_is_idle() -> None:
    chat = settled(0.0, requested=0, min_replicas=0, downscale_stabilization_period="2m")
    chat.see(0.01)
    decision = chat.see(0.0, seconds=100)
    assert decision.rule == "downscale_stabilization_period"
    assert str(decision) == "desired 0, set to 1: idle for 100s, not yet for 2m"


# Bursts


def test_a_burst_is_followed_at_once() -> None:
    chat = settled(3.0, requested=3, panic_threshold=2.0, panic_window="4s")
    assert chat.see(12.0).replicas == 3
    assert chat.see(12.0, seconds=3).replicas >= 10


def test_without_a_panic_threshold_nothing_is_a_burst() -> None:
    chat = settled(3.0, requested=3, panic_threshold=None, panic_window="4s")
    assert chat.see(12.0, seconds=30).replicas == 3


@pytest.mark.parametrize(("threshold", "replicas"), [(2.0, 9), (4.0, 3)])
def test_a_burst_is_so_many_times_what_there_is(threshold: float, replicas: int) -> None:
    chat = settled(3.0, requested=3, panic_threshold=threshold, panic_window="1s")
    assert chat.see(9.0).replicas == replicas


@pytest.mark.parametrize(("window", "replicas"), [("1s", 12), ("30s", 3)])
def test_a_burst_is_seen_in_the_panic_window(window: str, replicas: int) -> None:
    chat = settled(3.0, requested=3, panic_threshold=2.0, panic_window=window)
    assert chat.see(12.0).replicas == replicas


def test_what_a_burst_took_goes_soon_and_the_stable_number_stays() -> None:
    chat = settled(3.0, requested=3, panic_threshold=2.0)
    chat.see(12.0, seconds=10)
    assert chat.requested > 9
    assert chat.see(3.0, seconds=30).replicas == 3
    assert chat.numbers[-30:] == sorted(chat.numbers[-30:], reverse=True)


def test_after_some_bursts_the_first_request_of_one_brings_its_replicas() -> None:
    chat = under(min_replicas=1)
    for _ in range(6):
        chat.follow([8.0] * 20 + [0.0] * 70)
    before = chat.requested
    assert before <= 5
    assert chat.see(1.0).replicas >= 8


def test_without_a_forecast_nothing_is_learned_from_bursts() -> None:
    chat = under(min_replicas=1, forecast=False)
    for _ in range(6):
        chat.follow([8.0] * 20 + [0.0] * 70)
    assert chat.see(1.0).replicas < 8


def test_a_queue_that_is_worked_off_orders_no_crowd() -> None:
    """A hundred wait for a moment: by what is known of this traffic, six suffice."""
    chat = under(requested=6)
    chat.see(5.0, seconds=900)
    before = chat.requested
    chat.follow([100.0, 80.0, 60.0, 40.0, 20.0, 10.0])
    assert chat.requested <= before * 1.5 + 1


def test_a_surge_beyond_experience_is_followed_step_by_step() -> None:
    chat = under(requested=2)
    chat.see(1.5, seconds=900)
    before = chat.requested
    chat.see(40.0, seconds=8)
    assert before < chat.requested <= 4
    chat.see(60.0, seconds=60)
    assert chat.requested >= 15


# Schedule, capacity, revisions


@pytest.mark.parametrize(("load", "capacity"), [(0.0, 0), (1.0, 1), (2.0, 2)])
def test_what_has_to_run_is_wanted_even_without_capacity(load: float, capacity: int) -> None:
    chat = settled(load, requested=3, min_replicas=3)
    chat.capacity = capacity
    decision = chat.see(load)
    assert (decision.replicas, decision.rule) == (3, "min_replicas")


def test_the_schedule_s_minimum_holds_from_its_time_on() -> None:
    chat = under(
        schedule=[{"cron": "1 0 * * *", "min_replicas": 4}, {"cron": "3 0 * * *", "min_replicas": 1}]
    )
    assert chat.see(0.5, seconds=59).replicas == 1
    decision = chat.see(0.5)
    assert (decision.replicas, decision.rule) == (4, "schedule")
    assert decision.because == "schedule 1 0 * * * asks for 4 since Thu 00:01 UTC"
    assert chat.see(0.5, seconds=119).replicas == 4


def test_what_does_not_fit_is_not_ordered_but_reported() -> None:
    chat = settled(2.0, requested=2, panic_threshold=None, forecast=False)
    chat.capacity = 3
    decision = chat.see(20.0, seconds=600)
    assert (decision.replicas, decision.rule) == (3, "capacity")
    assert str(decision) == "desired 20, set to 3: there is capacity for 3 only"
    chat.capacity = None
    assert chat.see(20.0, seconds=600).replicas == 20


def test_a_new_revision_changes_the_settings_and_forgets_nothing() -> None:
    chat = settled(4.0, requested=4)
    policy = chat.policy
    assert isinstance(policy, DefaultPolicy)
    policy.reconfigure(api(target_in_flight=2.0, **STILL).scaling)
    decision = chat.see(4.0)
    assert decision.wanted == 2
    assert decision.inputs["average"] == pytest.approx(4.0)
    assert chat.see(4.0, seconds=310).replicas == 2
    policy.reconfigure(api(min_replicas=6, **STILL).scaling)
    assert chat.see(4.0).replicas == 6


# Whatever happens

AUTOSCALING = st.fixed_dictionaries(
    {},
    optional={
        "min_replicas": st.integers(0, 5),
        "max_replicas": st.integers(5, 40),
        "target_in_flight": st.floats(0.2, 8),
        "window": st.sampled_from(["1s", "10s", "60s"]),
        "upscale_stabilization_period": st.sampled_from(["0s", "5s", "1m"]),
        "downscale_stabilization_period": st.sampled_from(["0s", "5s", "2m"]),
        "max_upscale_factor": st.floats(1.05, 10),
        "max_downscale_factor": st.floats(0, 0.95),
        "panic_threshold": st.none() | st.floats(1.1, 5),
        "panic_window": st.sampled_from(["1s", "6s"]),
        "forecast": st.booleans(),
    },
)
LOADS = st.lists(
    st.tuples(st.floats(0, 60) | st.just(0.0), st.integers(1, 90), st.none() | st.integers(0, 50)),
    min_size=1,
    max_size=12,
)


def explained(decision: Decision) -> bool:
    recommendation = decision.replicas != decision.wanted
    return bool(decision.rule) == recommendation and bool(decision.because) == recommendation


@settings(max_examples=examples(1.5), deadline=None)
@given(autoscaling=AUTOSCALING, loads=LOADS, requested=st.integers(0, 10), startup=st.floats(0, 40))
def test_bounds_hold_and_every_difference_is_explained(
    autoscaling: dict[str, Any],
    loads: list[tuple[float, int, int | None]],
    requested: int,
    startup: float,
) -> None:
    spec = api(**autoscaling)
    chat = Api(DefaultPolicy(spec.scaling), requested=requested, startup=startup)
    for load, seconds, capacity in loads:
        chat.capacity = capacity
        for _ in range(seconds):
            decision = chat.see(load)
            least = spec.autoscaling.min_replicas
            most = min(spec.autoscaling.max_replicas, 10**9 if capacity is None else max(capacity, least))
            assert min(spec.autoscaling.min_replicas, most) <= decision.replicas <= most
            assert explained(decision), decision
            assert decision.replicas >= 1 or load == 0 or capacity == 0


@settings(max_examples=examples(0.6), deadline=None)
@given(
    loads=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 90)), min_size=1, max_size=8),
    more=st.floats(1.0, 3.0),
    requested=st.integers(1, 10),
)
def test_more_load_never_gets_fewer_replicas_by_cortex_s_rules(
    loads: list[tuple[float, int]], more: float, requested: int
) -> None:
    """Of tolerances this does not hold: they depend on what there is. What is learned need not obey it
    either: a higher load may be a steadier one."""
    plain = {**STILL, "upscale_tolerance": 0.0, "downscale_tolerance": 0.0, "max_downscale_factor": 0.0}
    one, other = (under(requested, max_upscale_factor=1000.0, **plain) for _ in range(2))
    for load, seconds in loads:
        one.see(load, seconds)
        other.see(load * more, seconds)
        assert other.requested >= one.requested


def test_a_decision_takes_no_time() -> None:
    policy = DefaultPolicy(api().scaling)
    samples = [
        Sample(now=1e9 + second, in_flight=second % 40, busy=5, ready=20, requested=20, startup=8.0)
        for second in range(4000)
    ]
    begun = time.process_time()
    for sample in samples:
        policy.decide(sample)
    assert (time.process_time() - begun) / len(samples) < 200e-6
