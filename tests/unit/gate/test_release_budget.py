"""How many are held, and how many go on at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyrus.gate.release_budget import ReleaseBudget, free_places, most_held, places_of
from gyrus.state.board import Pool, QueuePolicy, Traffic

QUEUEING = QueuePolicy(slots=4, longest_queue=10, processes=2, replicas=3, hold=1, generation=1)


@pytest.mark.parametrize(
    ("changes", "most"),
    [({}, 34), ({"replicas": 0}, 14), ({"longest_queue": 0}, 4), ({"slots": None}, None)],
)
def test_as_many_are_held_as_the_replicas_could_take(changes: dict[str, object], most: int | None) -> None:
    assert most_held(replace(QUEUEING, **changes)) == most


@pytest.mark.parametrize(
    ("changes", "endpoints", "number"),
    [({}, 2, 14), ({}, 3, 21), ({"slots": None}, 3, None), ({"slots": 1, "longest_queue": 0}, 2, 2)],
)
def test_each_process_has_its_share_of_the_places(
    changes: dict[str, object], endpoints: int, number: int | None
) -> None:
    assert places_of(replace(QUEUEING, **changes), endpoints) == number


def test_places_of_pools_that_requests_reach_are_summed() -> None:
    def pool(generation: int, slots: int | None, *replicas: str) -> Pool:
        queueing = replace(QUEUEING, slots=slots, processes=1)
        to = frozenset(replicas)
        return Pool(api="a", generation=generation, revision=1, replicas=to, queueing=queueing)

    old, new = pool(1, 4, "unix:/1", "unix:/2"), pool(2, 1, "unix:/3")
    assert free_places((new, old), frozenset({"unix:/1", "unix:/2", "unix:/3"})) == 28 + 11
    assert free_places((new, old), frozenset({"unix:/1", "unix:/3"})) == 14 + 11
    assert free_places((new, pool(3, None)), frozenset({"unix:/3"})) == 11
    assert free_places((new, pool(3, None, "unix:/4")), frozenset({"unix:/3", "unix:/4"})) is None


def released(
    budget: ReleaseBudget, free_places: int | None, traffic: Traffic | None, held: int, reading: int = 1
) -> int:
    """Return how many of these requests are released before the gateway reports again."""
    gone = 0
    while gone < held and budget.left(free_places, traffic, reading, held - gone):
        budget.release()
        gone += 1
    return gone


def test_no_more_are_released_than_there_are_places() -> None:
    budget = ReleaseBudget()
    first = Traffic(in_flight=30)
    assert released(budget, 7, first, 30) == 7
    assert released(budget, 7, first, 23) == 0
    assert released(budget, 7, Traffic(in_flight=25), 23, reading=2) == 5  # five of the seven are answered
    assert released(budget, None, Traffic(in_flight=1000), 18, reading=3) == 18


def test_a_new_reading_counts_even_if_nothing_has_changed() -> None:
    budget, steady = ReleaseBudget(), Traffic(in_flight=30)
    assert released(budget, 7, steady, 30) == 7
    assert released(budget, 7, steady, 30) == 0
    assert released(budget, 7, steady, 30, reading=2) == 7  # all seven are answered, and seven more have come


def test_places_are_given_out_where_the_gateway_reports_nothing() -> None:
    assert released(ReleaseBudget(), 7, None, 30) == 7
