"""Against the simplest thing that could be right: a list of all that was added."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.autoscaling.windows import Average, Extreme

STEPS = st.lists(st.tuples(st.floats(0.1, 20), st.floats(0, 1000)), min_size=1, max_size=60)


@given(steps=STEPS, span=st.floats(1, 60))
def test_an_average_weighs_each_number_by_the_time_it_stood(
    steps: list[tuple[float, float]], span: float
) -> None:
    average, now, parts = Average(span), 0.0, list[tuple[float, float, float]]()
    for place, (passed, value) in enumerate(steps):
        now += passed
        parts.append((now, min(passed if place else 1.0, span), value))
        found = average.add(now, value)
        within = [part for part in parts if part[0] > now - span] or parts[-1:]
        stood = sum(part[1] for part in within)
        assert found == pytest.approx(sum(part[1] * part[2] for part in within) / stood, abs=1e-6)


@given(steps=STEPS, span=st.floats(0, 60), highest=st.booleans())
def test_an_extreme_is_of_the_span_alone(
    steps: list[tuple[float, float]], span: float, highest: bool
) -> None:
    extreme, now, seen = Extreme(span, highest=highest), 0.0, list[tuple[float, float]]()
    for passed, value in steps:
        now += passed
        seen.append((now, value))
        within = [each for at, each in seen if at >= now - span]
        assert extreme.add(now, value) == (max(within) if highest else min(within))


def test_a_long_silence_leaves_nothing_behind() -> None:
    average = Average(10)
    average.add(0, 1e9)
    assert average.add(1000, 0.25) == 0.25


def test_a_second_look_at_the_same_moment_weighs_nothing() -> None:
    average = Average(10)
    average.add(0, 4)
    assert average.add(0, 400) == 4
