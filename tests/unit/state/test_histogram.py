"""Buckets of durations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.state.histogram import BOUNDS, Histogram

durations = st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100)))


@given(durations)
def test_each_bucket_counts_the_durations_up_to_its_bound(seconds: list[float]) -> None:
    histogram = Histogram()
    for each in seconds:
        histogram.add(each)
    for bound, number in histogram.buckets():
        assert number == sum(each <= float(bound) for each in seconds)
    assert histogram.total == sum(seconds)


def test_a_copy_stays_as_it_is() -> None:
    histogram = Histogram()
    copy = histogram.copy()
    histogram.add(1.0)
    assert dict(copy.buckets())["+Inf"] == 0
    assert copy.total == 0.0
