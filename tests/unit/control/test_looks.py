from __future__ import annotations

from gyrus.contract.operator import TrafficView
from gyrus.control.looks import TRACE, Looks, Seen
from gyrus.state.board import Traffic


def traffic(in_flight: int, answered: int = 0) -> Traffic:
    return Traffic(in_flight=in_flight, view=TrafficView(requests=answered))


def test_it_averages_what_was_seen_since_the_last_time() -> None:
    looks = Looks()
    for in_flight in (0, 2, 4):
        looks.add(traffic(in_flight), 0)
    assert looks.take() == Seen(2, 2)
    looks.add(traffic(1), 0)
    assert looks.take() == Seen(1, 1)


def test_where_nobody_could_look_nothing_is_known() -> None:
    looks = Looks()
    looks.add(None, 0)
    assert looks.take() is None


def test_held_requests_are_in_flight_but_not_at_work() -> None:
    looks = Looks()
    looks.add(traffic(5), 3)
    assert looks.take() == Seen(5, 2)
    looks.add(traffic(0), 3)  # the gateway was asked before they came
    assert looks.take() == Seen(3, 0)
    looks.add(None, 1)
    assert looks.take() == Seen(1, 0)


def test_requests_too_short_to_be_caught_leave_a_trace() -> None:
    looks = Looks()
    looks.add(traffic(0, answered=7), 0)
    assert looks.take() == Seen(0, 0)  # they may have been answered before the operator started
    looks.add(traffic(0, answered=8), 0)
    assert looks.take() == Seen(TRACE, 0)
    looks.add(traffic(0, answered=0), 0)  # another gateway
    assert looks.take() == Seen(0, 0)


def test_only_what_comes_counts_after_a_new_beginning() -> None:
    looks = Looks()
    looks.add(traffic(0), 0)
    looks.begin_anew()
    looks.add(traffic(1), 1)
    assert looks.take() == Seen(1, 0)


def test_what_is_counted_late_leaves_none_at_an_idle_api() -> None:
    looks = Looks()
    looks.add(traffic(0, answered=7), 0)
    looks.add(traffic(0, answered=8), 0)
    assert looks.take(idle=True) == Seen(0, 0)
    looks.add(traffic(0, answered=8), 0)
    assert looks.take() == Seen(0, 0)
