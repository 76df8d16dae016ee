from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.runtime.calls.deadlines import SLACK, Deadlines


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=20), st.floats(0, 20))
def test_exactly_those_are_due_whose_time_is_over(arrivals: list[tuple[float, bool]], now: float) -> None:
    arrivals.sort(key=lambda arrival: arrival[0])
    deadlines: Deadlines[int] = Deadlines(5.0)
    for number, (at, _) in enumerate(arrivals):
        deadlines.add(number, at)
    for number, (_, discarded) in enumerate(arrivals):
        if discarded:
            deadlines.discard(number)
    kept = [(number, at + 5.0) for number, (at, discarded) in enumerate(arrivals) if not discarded]
    assert deadlines.next == (kept[0][1] if kept else None)
    assert deadlines.take_due(now) == [number for number, due in kept if due <= now]
    assert len(deadlines) == sum(due > now for _, due in kept)
    assert deadlines.take_due(now) == []


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=20), st.floats(0, 20))
def test_deadlines_out_of_order_are_late_by_a_trifle_at_most(
    arrivals: list[tuple[float, bool]], now: float
) -> None:
    deadlines: Deadlines[int] = Deadlines(5.0)
    for number, (at, _) in enumerate(arrivals):
        before = deadlines.next
        in_order = deadlines.add(number, at)
        after = deadlines.next
        assert after is not None
        assert before is None or not in_order or after == before
    for number, (_, discarded) in enumerate(arrivals):
        if discarded:
            deadlines.discard(number)
    kept = {number: at + 5.0 for number, (at, discarded) in enumerate(arrivals) if not discarded}
    due = set(deadlines.take_due(now))
    assert {number for number, when in kept.items() if when + SLACK <= now} <= due
    assert due <= {number for number, when in kept.items() if when <= now}
    assert len(deadlines) == len(kept) - len(due)
