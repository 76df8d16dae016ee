"""The policy knows the future: no request waits, and nothing runs that is not needed within a start-up."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.simulator.baselines import PolicyContext
from gyrus.simulator.offered_load import OfferedLoad
from gyrus.simulator.policies.clairvoyant import ClairvoyantPolicy, offered
from support.traffic import THURSDAY, Api, api

REQUESTS = st.lists(st.tuples(st.floats(0, 60), st.floats(0.06, 10)), min_size=1, max_size=30)


def offered_load(*requests: tuple[float, float]) -> OfferedLoad:
    arrivals, services = zip(*sorted(requests), strict=True)
    return OfferedLoad(
        name="made up", start=THURSDAY, arrivals=array("d", arrivals), services=array("d", services)
    )


def plan(
    work: OfferedLoad, seconds: int, *, startup: float, max_concurrency: int = 1, **autoscaling: int
) -> list[int]:
    """Requested in each second from the first."""
    spec = api(max_concurrency=max_concurrency, **autoscaling)
    policy = ClairvoyantPolicy(PolicyContext(spec=spec, offered_load=work, startup=startup))
    chat = Api(policy, requested=policy.initial)
    chat.see(0.0, seconds=seconds)
    return [policy.initial, *chat.numbers]


def test_a_replica_is_ordered_a_start_up_before_it_is_needed_and_let_go_at_once() -> None:
    work = offered_load((0.0, 1.0), (20.0, 5.0), (20.0, 5.0))
    assert plan(work, 30, startup=4.0, min_replicas=0) == [1] + [0] * 14 + [2] * 10 + [0] * 6


def test_slots_share_a_replica() -> None:
    work = offered_load(*[(0.0, 3.0)] * 5)
    assert plan(work, 1, startup=1.0, max_concurrency=2) == [3, 3]


def test_bounds_hold() -> None:
    work = offered_load(*[(5.0, 3.0)] * 5)
    assert set(plan(work, 20, startup=1.0, min_replicas=2, max_replicas=4)) == {2, 4}


@settings(deadline=None)
@given(requests=REQUESTS, startup=st.sampled_from([0.0, 3.0, 12.0]))
def test_at_every_moment_there_are_as_many_as_work(
    requests: list[tuple[float, float]], startup: float
) -> None:
    work = offered_load(*requests)
    numbers = plan(work, 80, startup=startup)
    for arrival, _ in requests:
        working = sum(a <= arrival < a + s - 0.1 for a, s in requests if a <= arrival - 0.1 or a == arrival)
        ordered = numbers[max(0, int(arrival - startup))]
        assert ordered >= working - sum(abs(a - arrival) <= 0.1 for a, _ in requests)


@given(requests=REQUESTS)
def test_what_is_offered_is_at_least_the_average_of_each_second(requests: list[tuple[float, float]]) -> None:
    arrivals, services = zip(*sorted(requests), strict=True)
    loads = offered(arrivals, services)
    for second, load in enumerate(loads):
        inside = sum(max(0.0, min(a + s, second + 1) - max(a, second)) for a, s in requests)
        assert inside - 1e-6 <= load <= len(requests)
