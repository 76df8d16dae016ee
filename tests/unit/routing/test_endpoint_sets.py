from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.routing import endpoint_sets

some = st.frozensets(st.sampled_from(["a", "b", "c"]))


@given(some, some)
def test_they_are_what_sets_do(first: frozenset[str], second: frozenset[str]) -> None:
    assert endpoint_sets.union(first, second) == first | second
    assert endpoint_sets.intersection(first, second) == first & second
    assert endpoint_sets.difference(first, second) == first - second
    assert endpoint_sets.equal(first, second) == (first == second)


@given(st.lists(some, min_size=1))
def test_of_many(sets: list[frozenset[str]]) -> None:
    assert endpoint_sets.union_of(sets) == frozenset[str]().union(*sets)
    assert endpoint_sets.intersection_of(sets) == frozenset[str].intersection(*sets)


def test_a_set_with_itself_is_not_copied() -> None:
    one = frozenset({"a", "b"})
    assert endpoint_sets.union(one, one) is one
    assert endpoint_sets.union(frozenset(), one) is one
    assert endpoint_sets.intersection(one, one) is one
    assert endpoint_sets.union_of([one, one]) is endpoint_sets.intersection_of([one, one]) is one
    assert not endpoint_sets.union_of([])
