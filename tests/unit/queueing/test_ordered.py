"""The heap behaves like the simplest correct model: a list that is sorted after each change."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.queueing.ordered import SPARE, Ordered

Act = tuple[str, int]
ACTS = st.lists(st.tuples(st.sampled_from(["add", "add", "discard", "pop"]), st.integers(0, 9)), max_size=200)


@given(ACTS)
def test_the_least_is_first_and_equals_are_in_the_order_of_their_coming(acts: list[Act]) -> None:
    ordered: Ordered[tuple[int, int]] = Ordered()
    there: list[tuple[int, int]] = []
    for number, (act, value) in enumerate(acts):
        match act:
            case "add":
                ordered.add((value, number), value)
                there = sorted([*there, (value, number)])
            case "discard" if there:
                assert ordered.discard(there[value % len(there)])
                del there[value % len(there)]
            case "pop" if there:
                assert ordered.pop() == there.pop(0)
            case _:
                assert not ordered.discard((value, -1))
        assert ordered.first() == ((there[0][0], there[0]) if there else None)
        assert ordered.in_order() == [(item[0], item) for item in there]
        assert ordered.numbers(2) == [item[0] for item in there[:2]]
        assert len(ordered) == len(there)
    assert [ordered.pop() for _ in there] == there
    with pytest.raises(IndexError):
        ordered.pop()


def test_what_has_left_is_not_kept_alive() -> None:
    class Item:
        pass

    ordered: Ordered[Item] = Ordered()
    left: list[weakref.ref[Item]] = []
    for number in range(SPARE):
        item = Item()
        left.append(weakref.ref(item))
        ordered.add(item, number)
        assert ordered.discard(item)
        del item
    gc.collect()
    assert [ref() for ref in left] == [None] * SPARE
