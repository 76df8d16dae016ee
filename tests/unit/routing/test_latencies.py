"""Distributions of several pools, added up."""

from __future__ import annotations

import random

import pytest

from gyrus.routing.latencies import Latencies, merged

PERCENTS = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)


def measured(values: list[float]) -> Latencies:
    ordered = sorted(values)
    last = len(ordered) - 1
    return Latencies(
        len(values), tuple((percent, ordered[round(last * percent / 100)]) for percent in PERCENTS)
    )


def test_a_single_part_stays_as_it_is() -> None:
    one = measured([1.0, 2.0, 3.0])
    assert merged([one, Latencies()]) == one
    assert merged([]) == Latencies()
    assert Latencies().at(50) is None


def test_parts_count_by_their_requests() -> None:
    fast, slow = Latencies(900, ((0, 1.0), (100, 2.0))), Latencies(100, ((0, 11.0), (100, 12.0)))
    both = merged([fast, slow])
    assert both.count == 1000
    assert (both.at(0), both.at(100)) == (1.0, 12.0)
    deep = merged([both, Latencies(1, ((90.0, 2.0), (95.0, 11.5)))])
    assert deep.count == 1001


@pytest.mark.parametrize("seed", range(5))
def test_sum_is_near_that_of_all_values(seed: int) -> None:
    chance = random.Random(seed)
    parts = [[chance.lognormvariate(mean, 0.5) for _ in range(size)] for mean, size in ((1, 3000), (2, 1000))]
    summed, whole = merged(map(measured, parts)), measured([value for part in parts for value in part])
    for percent in (50.0, 95.0, 99.0):
        assert summed.at(percent) == pytest.approx(whole.at(percent), rel=0.15)
    values = [value for _, value in summed.points]
    assert values == sorted(values)
