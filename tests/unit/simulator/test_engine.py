"""Virtual time against what queueing theory and arithmetic know."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.simulator.offered_load import OfferedLoad
from gyrus.simulator.run import Run, SimulatedResult
from gyrus.simulator.service import Lognormal
from support.simulations import OnDemand, Script, ends, offered_load, poisson, simulated, waits


def erlang_c(servers: int, load: float) -> float:
    """The probability that a request waits; ``load`` in busy servers."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    share = load / servers
    return blocked / (1 - share * (1 - blocked))


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "share"), [(1, 0.5), (4, 0.8), (16, 0.9)])
def test_exponential_service_waits_as_erlang_computes(slots: int, share: float) -> None:
    work = poisson(slots * share, 100_000, 1.0, exponential=True)
    run = simulated(work, 1, slots=slots, longest_queue=100_000, timeout=1e9)
    chance = erlang_c(slots, slots * share)
    assert fmean(wait > 0 for wait in waits(run)) == pytest.approx(chance, rel=0.03)
    assert fmean(waits(run)) == pytest.approx(chance / (slots - slots * share), rel=0.06)


@pytest.mark.slow
def test_constant_service_waits_half_as_long() -> None:
    """Pollaczek and Khinchine, for M/D/1."""
    work = poisson(0.8, 100_000, 1.0, exponential=False)
    run = simulated(work, 1, longest_queue=100_000, timeout=1e9)
    assert fmean(waits(run)) == pytest.approx(0.8 / (2 * (1 - 0.8)), rel=0.05)


def test_little_s_law_holds_for_what_the_policy_is_shown() -> None:
    """Requests in flight are the rate times the latency."""
    policy = Script(initial=3)
    work = poisson(2.4, 20_000, 1.0, exponential=True)
    run = simulated(work, policy, longest_queue=10_000, timeout=1e9)
    in_flight = fmean(sample.in_flight for sample in policy.samples)
    latency = fmean(end - arrival for end, arrival in zip(ends(run), work.arrivals, strict=True))
    assert in_flight == pytest.approx(len(work) / run.ended * latency, rel=0.01)
    assert fmean(sample.busy for sample in policy.samples) == pytest.approx(2.4, rel=0.05)
    assert all(sample.busy <= 3 + 1e-9 for sample in policy.samples)


REQUESTS = st.lists(
    st.tuples(st.integers(0, 400).map(lambda n: n / 10), st.integers(0, 50).map(lambda n: n / 10)),
    min_size=1,
    max_size=60,
).map(lambda requests: offered_load(*requests))
STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=6).map(sorted)


@settings(deadline=None)
@given(
    work=REQUESTS,
    steps=STEPS,
    initial=st.integers(0, 3),
    slots=st.none() | st.integers(1, 3),
    longest=st.integers(0, 5),
    timeout=st.integers(1, 20),
    hold=st.integers(0, 20),
)
def test_whatever_happens_each_request_ends_once(
    work: OfferedLoad,
    steps: list[tuple[int, int]],
    initial: int,
    slots: int | None,
    longest: int,
    timeout: float,
    hold: float,
) -> None:
    policy = Script(*steps, initial=initial)
    run = simulated(
        work, policy, slots=slots, longest_queue=longest, timeout=timeout, hold=min(hold, timeout),
        startup=Lognormal(2.0, 0.5),
    )  # fmt: skip
    assert SimulatedResult.PENDING not in run.outcomes
    for outcome, begun, arrival, service in zip(
        run.outcomes, run.begun, work.arrivals, work.services, strict=True
    ):
        if outcome == SimulatedResult.REFUSED:
            assert math.isnan(begun)
            continue
        on_time = not math.isnan(begun) and begun + service <= arrival + timeout
        assert on_time is (outcome == SimulatedResult.ANSWERED)
        assert math.isnan(begun) or arrival <= begun <= arrival + timeout
    check_slots(run, slots)
    assert run.peak_replicas >= initial
    assert run.replica_seconds <= run.peak_replicas * run.ended + 1e-6


def check_slots(run: Run, slots: int | None) -> None:
    """Never more at work than all replicas that ever were together have slots."""
    if slots is None:
        return
    begun = [(begun, 1) for begun in run.begun if not math.isnan(begun)]
    ended = [(end, -1) for end in ends(run) if not math.isnan(end)]
    level = 0
    for _, change in sorted(begun + ended):
        level += change
        assert level <= run.peak_replicas * slots


@settings(deadline=None)
@given(work=REQUESTS, slots=st.integers(1, 4))
def test_one_replica_serves_in_order_and_never_idles_while_a_request_waits(
    work: OfferedLoad, slots: int
) -> None:
    run = simulated(work, 1, slots=slots, longest_queue=1000, timeout=1e9)
    assert list(run.begun) == sorted(run.begun)
    free = [0.0] * slots
    for arrival, service, begun in zip(work.arrivals, work.services, run.begun, strict=True):
        free.sort()
        assert begun == pytest.approx(max(arrival, free[0]))
        free[0] = begun + service


def overtaking(run: Run) -> float:
    """The longest that a request began after one which arrived later, in seconds."""
    earliest, longest = math.inf, 0.0
    for begun in reversed(run.begun):
        longest = max(longest, begun - earliest)
        earliest = min(earliest, begun)
    return longest


@pytest.mark.parametrize(
    ("startup", "stretch"),
    [(Lognormal(0.0, 0), 1.02), (Lognormal(0.02, 0.8), 1.03), (Lognormal(0.3, 0.8), 1.15)],
)
def test_what_waits_goes_to_replicas_that_come_in_order(startup: Lognormal, stretch: float) -> None:
    """A hundred of 200 ms at one replica, and four more after a second: almost as from one queue for all, and
    no request overtaken by more than one service time."""
    work = offered_load(*[(n * 1e-4, 0.2) for n in range(100)])
    run = simulated(work, Script((0.5, 5)), startup=startup, longest_queue=200)
    optimum = 1.0 + math.ceil((100 - 5) / 5) * 0.2
    assert run.ended <= stretch * optimum
    assert overtaking(run) <= 0.2


def test_no_request_waits_long_behind_a_stuck_one_while_another_replica_is_free() -> None:
    run = simulated(offered_load((0.0, 30.0), (0.1, 1.0), (0.2, 1.0), (0.3, 1.0)), 2)
    assert sorted(run.begun) == pytest.approx([0.0, 0.1, 1.1, 2.1], abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("replicas", "share"), [(4, 0.8), (16, 0.9)])
def test_many_replicas_are_almost_one_queue(replicas: int, share: float) -> None:
    """The difference to Erlang's formula is the time until the gate looks again."""
    work = poisson(replicas * share, 100_000, 1.0, exponential=True)
    run = simulated(work, replicas, longest_queue=100_000, timeout=1e9)
    chance = erlang_c(replicas, replicas * share)
    assert fmean(waits(run)) == pytest.approx(chance / (replicas - replicas * share), rel=0.1, abs=0.03)


@pytest.mark.slow
def test_equal_seeds_give_equal_runs() -> None:
    work = poisson(3.0, 5_000, 1.0, exponential=True)

    def run(seed: int) -> Run:
        return simulated(work, Script((100, 5), (200, 3), initial=2), startup=Lognormal(3, 0.5), seed=seed)

    assert run(1) == run(1)
    assert run(1).begun != run(2).begun


def test_a_full_queue_refuses() -> None:
    run = simulated(offered_load(*[(0.0, 1.0)] * 5), 1, longest_queue=2)
    assert list(run.outcomes) == [SimulatedResult.ANSWERED] * 3 + [SimulatedResult.REFUSED] * 2
    assert run.ended == 3


def test_a_late_request_leaves_the_queue_or_keeps_its_slot() -> None:
    run = simulated(offered_load((0, 5), (0.1, 1), (4, 0.5)), 1, timeout=2)
    assert list(run.outcomes) == [
        SimulatedResult.TIMED_OUT,
        SimulatedResult.TIMED_OUT,
        SimulatedResult.ANSWERED,
    ]
    assert math.isnan(run.begun[1])
    assert run.begun[2] == 5


def test_a_replica_costs_from_its_order_until_it_is_gone() -> None:
    """One from the beginning; one ordered at 2, stopped at 6, done with its request at 9."""
    work = offered_load((0, 12), (4, 5), (11, 1))
    run = simulated(work, Script((2, 2), (6, 1)), startup=Lognormal(1, 0))
    assert list(run.begun) == [0, 4, 12]
    assert run.replica_seconds == pytest.approx(13 + (9 - 2))
    assert (run.peak_replicas, run.scalings) == (2, 2)


def test_replicas_that_have_not_started_leave_first_and_at_once() -> None:
    run = simulated(offered_load((0, 1), (10, 1)), Script((2, 4), (3, 2)), startup=Lognormal(2.5, 0))
    assert run.replica_seconds == pytest.approx(11 + 9 + 2 * 1)


def test_a_leaving_replica_requeues_what_waits() -> None:
    """At 3 one of two leaves: the youngest. No request is lost, and what it started is finished."""
    work = offered_load(*[(0.0, 4.0)] * 6)
    run = simulated(work, Script((3, 1), initial=2))
    assert list(run.outcomes) == [SimulatedResult.ANSWERED] * 6
    assert sorted(run.begun) == [0, 0, 4, 8, 12, 16]


def test_from_zero_a_request_is_held_until_a_replica_is_there() -> None:
    policy = OnDemand()
    run = simulated(offered_load((2.5, 1), (3, 1), start=1000), policy)
    assert list(run.begun) == pytest.approx([3.5, 4.5])
    [woken] = [sample for sample in policy.samples if sample.now == 1002.5]
    assert (woken.in_flight, woken.requested, woken.ready) == (1, 0, 0)
    assert run.replica_seconds == pytest.approx(5.5 - 2.5)


def test_what_cannot_be_held_is_refused() -> None:
    work = offered_load((0, 1), (0.1, 1), (0.2, 1), (0.3, 1))
    run = simulated(work, Script((10, 1), initial=0), longest_queue=2, hold=5, timeout=30)
    assert (
        list(run.outcomes) == [SimulatedResult.REFUSED] * 4
    )  # the last for want of a place, the others after 5 s
    assert run.ended == pytest.approx(5.2)


def test_held_requests_go_on_as_far_as_there_are_places() -> None:
    """Nine are held when three replicas come one after the other, with places for four each."""
    work = offered_load(*[(1.1 + number / 100, 1.0) for number in range(9)])
    run = simulated(work, Script((1, 3), initial=0), longest_queue=3, startup=Lognormal(1, 0.5), seed=2)
    assert list(run.outcomes) == [SimulatedResult.ANSWERED] * 9
    assert run.begun[0] == min(run.begun)


def test_the_policy_is_shown_averages_and_the_trace_s_own_time() -> None:
    policy = Script()
    simulated(offered_load((0.25, 0.5), (0.5, 1.0), start=5000), policy)
    first, *_ = policy.samples
    assert first.now == 5001
    assert first.in_flight == pytest.approx(0.5 + 0.5)
    assert first.busy == pytest.approx(0.75)
    assert (first.ready, first.requested, first.startup, first.capacity) == (1, 1, 1.0, None)


def test_ten_thousand_replicas_share_the_load() -> None:
    work = poisson(20_000, 50_000, 0.4, exponential=False)
    run = simulated(work, 10_000)
    assert max(waits(run)) == 0
    assert run.peak_replicas == 10_000
