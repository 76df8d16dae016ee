"""Batches in virtual time, on a device that takes 2.1 ms and 0.03 ms for each call."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.runtime.calls.batch_plan import BatchPlan
from gyrus.runtime.calls.batch_waits import (
    LONG_WAIT,
    SHORT_WAIT,
    WAIT_SHARE,
    AutoWait,
    BatchRun,
    FixedWait,
    Wait,
)
from support.batch_device import Costs, Measured, Replica
from support.examples import examples

SIZE = 64
CLIENTS = (1, 4, 16, 64, 256)
GPU = Costs()
"""Requests cost the loop nothing to speak of."""
PYTHON = Costs(read=12e-6, answer=8e-6, network=0.0001)
SLOW_PYTHON = Costs(read=25e-6, answer=15e-6, network=0.0001)
HOLDING = Costs(fixed=0.001, each=2e-6, read=25e-6, answer=15e-6, network=0.0001, held=1.0)
"""A handler in pure Python: while it runs, the loop stands still."""
BY_THE_CALL = Costs(fixed=0.001, each=0.001, read=25e-6, answer=15e-6, network=0.0001)
"""A device that gains little by batches."""
ALL = {
    "gpu": GPU,
    "python": PYTHON,
    "slow python": SLOW_PYTHON,
    "holding": HOLDING,
    "by the call": BY_THE_CALL,
    "unsteady": Costs(read=12e-6, answer=8e-6, network=0.0001, jitter=0.2),
}


def closed(wait: Wait, costs: Costs, clients: int, *, parallel: int = 1, seconds: float = 1.0) -> Measured:
    return Replica(wait, costs=costs, parallel=parallel).closed(clients, seconds)


def best_of_fixed(run: Callable[[Wait], Measured]) -> float:
    return max(run(FixedWait(seconds)).rate for seconds in (0.0, 0.005))


@pytest.mark.slow
@pytest.mark.parametrize("clients", CLIENTS)
@pytest.mark.parametrize("costs", ALL.values(), ids=ALL.keys())
def test_it_is_no_worse_than_the_better_fixed_wait(costs: Costs, clients: int) -> None:
    best = best_of_fixed(lambda wait: closed(wait, costs, clients))
    assert closed(AutoWait(SIZE), costs, clients).rate >= 0.93 * best


@pytest.mark.parametrize("clients", CLIENTS)
def test_two_batches_at_a_time_on_one_device(clients: int) -> None:
    best = best_of_fixed(lambda wait: closed(wait, PYTHON, clients, parallel=2))
    assert closed(AutoWait(SIZE), PYTHON, clients, parallel=2).rate >= 0.95 * best


@pytest.mark.parametrize(("clients", "more"), [(4, 1.7), (16, 1.5)])
def test_a_few_clients_form_one_batch_which_no_fixed_wait_achieves(clients: int, more: float) -> None:
    best = best_of_fixed(lambda wait: closed(wait, PYTHON, clients))
    assert closed(AutoWait(SIZE), PYTHON, clients).rate >= more * best


def test_one_client_never_waits() -> None:
    measured = closed(AutoWait(SIZE), PYTHON, 1)
    assert measured.rate >= 0.85 * PYTHON.direct(1)
    assert max(measured.waits) == 0.0


@pytest.mark.slow
def test_many_clients_are_as_fast_as_a_loop_without_a_server() -> None:
    for costs in (GPU, SLOW_PYTHON):
        for clients in (128, 256):
            assert closed(AutoWait(SIZE), costs, clients).rate >= 0.95 * costs.direct(SIZE)


def test_clients_for_just_one_batch_pay_only_for_their_way_back() -> None:
    # The device idles until all 64 clients are back. No order of batches can avoid that: with 5 µs of the
    # loop for each of them and 75 µs of network, the cycle is at best 0.92 of that of the loop.
    assert closed(AutoWait(SIZE), GPU, 64).rate >= 0.9 * GPU.direct(SIZE)


def test_two_halves_merge() -> None:
    measured = closed(AutoWait(SIZE), PYTHON, 64, seconds=2.0)
    late = [len(calls) for when, calls in measured.batches if when > 1.0]
    assert sum(size == 64 for size in late) > 0.9 * len(late)


def test_two_halves_stay_if_merging_costs_more_than_it_gains() -> None:
    # 40 µs on the loop for each call: 64 clients need 2.6 ms to be back, more than a batch's fixed 2.1 ms.
    measured = closed(AutoWait(SIZE), SLOW_PYTHON, 64)
    assert measured.rate > 1.03 * closed(FixedWait(0.005), SLOW_PYTHON, 64).rate


def test_one_slow_client_holds_up_no_other() -> None:
    def slow(wait: Wait) -> Measured:
        replica = Replica(wait, costs=PYTHON)
        replica.think = lambda client: 0.1 if client == 0 else 0.0
        return replica.closed(16, 1.0)

    measured = slow(AutoWait(SIZE))
    assert measured.rate >= 1.3 * best_of_fixed(slow)
    assert measured.quantile(0.99) < 0.006


def test_clients_that_think_lose_nothing() -> None:
    for clients in (4, 16, 64):

        def thinking(wait: Wait, clients: int = clients) -> Measured:
            replica, rng = Replica(wait, costs=PYTHON), random.Random(1)
            replica.think = lambda _: rng.expovariate(1 / 0.003)
            return replica.closed(clients, 1.0)

        assert thinking(AutoWait(SIZE)).rate >= 0.95 * best_of_fixed(thinking)


@pytest.mark.parametrize("rate", [50, 1000, 8000])
def test_requests_that_no_answer_brings_do_not_wait(rate: float) -> None:
    seconds = max(2.0, 1000 / rate)
    at_once = Replica(FixedWait(0.0), costs=PYTHON).open(rate, seconds)
    measured = Replica(AutoWait(SIZE), costs=PYTHON).open(rate, seconds)
    assert measured.mean_latency <= 1.1 * at_once.mean_latency
    assert measured.quantile(0.99) <= at_once.quantile(0.99) + SHORT_WAIT + GPU.device(SIZE)


def test_it_follows_the_number_of_clients() -> None:
    replica = Replica(AutoWait(SIZE), costs=PYTHON)
    replica.returns = lambda client: client < 4 or replica.now < 1.0
    measured = replica.closed(64, 3.0)
    late = [len(calls) for when, calls in measured.batches if when > 2.0]
    assert sum(late) / len(late) > 3.5
    assert len(late) > 300


def test_a_slow_first_batch_is_forgotten() -> None:
    wait = AutoWait(SIZE)
    plan = BatchPlan(SIZE, wait)
    now = 0.0
    for seconds in (5.0, *[0.002] * 20):
        run = plan.started(now, 1)
        now += seconds
        plan.ended(now, run, 0)
    assert wait.bound == SHORT_WAIT


def test_a_device_that_runs_batches_in_parallel_is_recognized() -> None:
    wait = AutoWait(8)
    plan = BatchPlan(8, wait, 4)
    now, running = 0.0, list[BatchRun]()
    for _ in range(10):  # alone
        run = plan.started(now, 2)
        now += 0.1
        plan.ended(now, run, 0)
    assert plan.patience(now, 1, 30, now) == 0.0
    for _ in range(40):  # two at a time, each as fast as alone
        running.append(plan.started(now, 2))
        now += 0.05
        if len(running) == 2:
            plan.ended(now, running.pop(0), 0)
    assert plan.patience(now, 1, 30, now) == 0.0, "beside a running batch"


def test_a_second_batch_waits_for_a_serial_device() -> None:
    plan = BatchPlan(8, AutoWait(8), 2)
    plan.started(0.0, 3)
    assert 0 < plan.patience(0.001, 1, 13, 0.001) <= SHORT_WAIT
    assert plan.patience(0.001, 8, 13, 0.001) == 0.0, "a full one starts"


def test_a_fixed_wait_counts_from_the_first_call() -> None:
    plan = BatchPlan(4, FixedWait(0.005))
    assert plan.patience(1.002, 1, 4, 1.0) == pytest.approx(0.003)
    assert plan.patience(1.002, 4, 4, 1.0) == 0.0
    assert plan.patience(1.002, 0, 4, 1.0) == inf
    plan.started(1.002, 4)
    assert plan.patience(2.0, 4, 0, 1.0) == inf


@settings(max_examples=examples(0.5))
@given(
    arrivals=st.lists(st.floats(0, 0.2), min_size=1, max_size=120),
    size=st.integers(1, 20),
    parallel=st.integers(1, 3),
    fixed=st.sampled_from([0.0, 0.0005, 0.02]),
    each=st.sampled_from([0.0, 0.0001, 0.002]),
    held=st.sampled_from([0.0, 1.0]),
)
def test_invariants_of_an_open_loop(
    arrivals: list[float], size: int, parallel: int, fixed: float, each: float, held: float
) -> None:
    costs = Costs(fixed=fixed, each=each, held=held)
    replica = Replica(AutoWait(size), size=size, parallel=parallel, costs=costs)
    check(replica.arrivals(sorted(arrivals)), len(arrivals), size, costs)


@settings(max_examples=examples(0.5))
@given(
    clients=st.integers(1, 40),
    size=st.integers(1, 20),
    parallel=st.integers(1, 3),
    fixed=st.sampled_from([0.0002, 0.0021, 0.02]),
    pauses=st.lists(st.floats(0, 0.01), min_size=1, max_size=10),
)
def test_invariants_of_a_closed_loop(
    clients: int, size: int, parallel: int, fixed: float, pauses: list[float]
) -> None:
    costs = Costs(fixed=fixed, each=0.0001)
    replica = Replica(AutoWait(size), size=size, parallel=parallel, costs=costs)
    sent = [0]

    def returns(_: int) -> bool:
        sent[0] += 1
        return sent[0] < 100

    replica.think = lambda client: pauses[(client + sent[0]) % len(pauses)]
    replica.returns = returns
    check(replica.closed(clients, inf, skip=0.0), None, size, costs)


def check(measured: Measured, requests: int | None, size: int, costs: Costs) -> None:
    started = [call for _, calls in measured.batches for call in calls]
    assert started == sorted(started, key=lambda call: call.arrived), "in order of arrival"
    assert len(started) == len(set(map(id, started))) == len(measured.answered), "each once, and all"
    assert requests is None or len(started) == requests
    assert all(1 <= len(calls) <= size for _, calls in measured.batches)
    longest = min(LONG_WAIT, max(SHORT_WAIT, WAIT_SHARE * 2 * (costs.device(size) + size * costs.parse)))
    turn = 0.0005 + costs.held * costs.device(size)
    assert max(measured.waits) <= longest + turn, "no batch waits beyond the bound"
