"""One timer calls each at its time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.simulator.deadlines import SimulatedDeadlines
from gyrus.simulator.event_queue import EventQueue


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(0, 10))
def test_each_is_called_when_it_has_had_its_time(times: list[int], after: int) -> None:
    arrivals = [float(time) for time in sorted(times)]
    event_queue = EventQueue()
    called: list[tuple[float, int]] = []

    def passed(now: float, request: int) -> None:
        called.append((now, request))

    def arrive(_: float, request: int) -> None:
        deadlines.add(request)

    deadlines = SimulatedDeadlines(event_queue, arrivals, float(after), passed)
    for request, arrival in enumerate(arrivals):
        event_queue.enter(arrival, arrive, request)
    while event_queue.due < float("inf"):
        event_queue.happen()
    assert called == [(arrival + after, request) for request, arrival in enumerate(arrivals)]


@given(st.lists(st.integers(0, 5)))
def test_events_of_the_same_time_happen_in_the_order_of_their_entry(times: list[int]) -> None:
    event_queue = EventQueue()
    followed_events: list[tuple[float, int]] = []

    def happen(now: float, number: int) -> None:
        followed_events.append((now, number))

    for number, time in enumerate(times):
        event_queue.enter(float(time), happen, number)
    while event_queue.due < float("inf"):
        event_queue.happen()
    assert followed_events == sorted((float(time), number) for number, time in enumerate(times))
