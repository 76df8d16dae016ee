"""One timer calls each at its time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.simulator.deadlines import SimulatedDeadlines
from gyrus.simulator.event_queue import EventQueue


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(0, 10))
def test_each_is_called_when_it_has_had_its_time(times: list[int], after: int) -> None:
    arrivals = [float(time) for time in sorted(times)]
    agenda = EventQueue()
    called: list[tuple[float, int]] = []

    def passed(now: float, request: int) -> None:
        called.append((now, request))

    def arrive(_: float, request: int) -> None:
        deadlines.add(request)

    deadlines = SimulatedDeadlines(agenda, arrivals, float(after), passed)
    for request, arrival in enumerate(arrivals):
        agenda.enter(arrival, arrive, request)
    while agenda.due < float("inf"):
        agenda.happen()
    assert called == [(arrival + after, request) for request, arrival in enumerate(arrivals)]


@given(st.lists(st.integers(0, 5)))
def test_events_of_the_same_time_happen_in_the_order_of_their_entry(times: list[int]) -> None:
    agenda = EventQueue()
    followed_events: list[tuple[float, int]] = []

    def happen(now: float, number: int) -> None:
        followed_events.append((now, number))

    for number, time in enumerate(times):
        agenda.enter(float(time), happen, number)
    while agenda.due < float("inf"):
        agenda.happen()
    assert followed_events == sorted((float(time), number) for number, time in enumerate(times))
