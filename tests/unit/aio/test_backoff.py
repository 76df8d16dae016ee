from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.aio.backoff import Backoff


def test_delays_double_up_to_the_longest():
    assert [Backoff(0.5, 3).delay(n) for n in range(5)] == [0.5, 1, 2, 3, 3]


@given(first=st.floats(0.001, 10), most=st.floats(10, 1000), failures=st.integers(0, 10**6))
def test_delays_never_shrink_and_never_exceed_the_longest(first: float, most: float, failures: int):
    backoff = Backoff(first, most)
    assert first <= backoff.delay(failures) <= backoff.delay(failures + 1) <= most
