"""How much work there is at each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.simulator.load import concurrency
from support.simulations import offered_load


def test_requests_count_for_the_time_that_they_take() -> None:
    work = offered_load((0.5, 1), (1.25, 0.25), (3, 7))
    assert concurrency(work, 1.0) == pytest.approx([0.5, 0.75, 0.0])
    assert concurrency(work, 1.0, 5.0) == pytest.approx([0.5, 0.75, 0.0, 1.0, 1.0])


def test_all_at_once() -> None:
    assert concurrency(offered_load((0, 2), (0, 3)), 1.0) == [2.0]


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50)), min_size=1, max_size=50),
    st.floats(0.1, 20),
)
def test_all_work_is_in_it(requests: list[tuple[float, float]], every: float) -> None:
    work = offered_load(*requests)
    load = concurrency(work, every, until=151)
    assert sum(load) * every == pytest.approx(sum(work.services), abs=1e-6)
    assert all(value >= 0 for value in load)
