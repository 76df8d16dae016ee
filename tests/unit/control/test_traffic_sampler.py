from __future__ import annotations

from gyrus.contract.operator import TrafficView
from gyrus.control.traffic_sampler import TRACE, TrafficSample, TrafficSampler
from gyrus.state.board import Traffic


def traffic(in_flight: int, answered: int = 0) -> Traffic:
    return Traffic(in_flight=in_flight, view=TrafficView(requests=answered))


def test_it_averages_what_was_seen_since_the_last_time() -> None:
    samples = TrafficSampler()
    for in_flight in (0, 2, 4):
        samples.add(traffic(in_flight), 0)
    assert samples.take() == TrafficSample(2, 2)
    samples.add(traffic(1), 0)
    assert samples.take() == TrafficSample(1, 1)


def test_without_an_observation_nothing_is_known() -> None:
    samples = TrafficSampler()
    samples.add(None, 0)
    assert samples.take() is None


def test_held_requests_are_in_flight_but_not_at_work() -> None:
    samples = TrafficSampler()
    samples.add(traffic(5), 3)
    assert samples.take() == TrafficSample(5, 2)
    samples.add(traffic(0), 3)  # the gateway was asked before they came
    assert samples.take() == TrafficSample(3, 0)
    samples.add(None, 1)
    assert samples.take() == TrafficSample(1, 0)


def test_requests_too_short_to_be_caught_leave_a_trace() -> None:
    samples = TrafficSampler()
    samples.add(traffic(0, answered=7), 0)
    assert samples.take() == TrafficSample(0, 0)  # they may have been answered before the operator started
    samples.add(traffic(0, answered=8), 0)
    assert samples.take() == TrafficSample(TRACE, 0)
    samples.add(traffic(0, answered=0), 0)  # another gateway
    assert samples.take() == TrafficSample(0, 0)


def test_only_what_comes_counts_after_a_new_beginning() -> None:
    samples = TrafficSampler()
    samples.add(traffic(0), 0)
    samples.reset()
    samples.add(traffic(1), 1)
    assert samples.take() == TrafficSample(1, 0)


def test_what_is_counted_late_leaves_none_at_an_idle_api() -> None:
    samples = TrafficSampler()
    samples.add(traffic(0, answered=7), 0)
    samples.add(traffic(0, answered=8), 0)
    assert samples.take(idle=True) == TrafficSample(0, 0)
    samples.add(traffic(0, answered=8), 0)
    assert samples.take() == TrafficSample(0, 0)
