"""Who gives back how many."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.replica import Load
from gyrus.queueing.balance import rebalance


@st.composite
def loads(draw: st.DrawFn) -> dict[int, Load]:
    slots = draw(st.integers(1, 4))
    return {n: draw(one_load(slots)) for n in range(draw(st.integers(0, 8)))}


@st.composite
def one_load(draw: st.DrawFn, slots: int) -> Load:
    busy = draw(st.integers(0, slots))
    waiting = draw(st.integers(0, 30)) if busy == slots else 0
    return Load(slots=slots, busy=busy, waiting=waiting, movable=draw(st.integers(0, waiting)))


def moved(before: dict[int, Load], giving: dict[int, int]) -> dict[int, Load]:
    """What the gateway makes of it: each goes to whoever has the fewest."""
    after = {
        key: replace(
            load, waiting=load.waiting - giving.get(key, 0), movable=load.movable - giving.get(key, 0)
        )
        for key, load in before.items()
    }
    for _ in range(sum(giving.values())):
        key = min(after, key=lambda key: after[key].busy + after[key].waiting)
        load = after[key]
        if load.slots is not None and load.busy < load.slots:
            after[key] = replace(load, busy=load.busy + 1)
        else:
            after[key] = replace(load, waiting=load.waiting + 1, movable=load.movable + 1)
    return after


def test_new_replicas_get_their_share() -> None:
    queue = Load(slots=1, busy=1, waiting=94, movable=94)
    idle = Load(slots=1, busy=0, waiting=0, movable=0)
    assert rebalance({"old": queue} | {f"new-{n}": idle for n in range(4)}) == {"old": 76}


def test_who_waits_behind_a_busy_one_goes_where_a_slot_is_free() -> None:
    busy = Load(slots=1, busy=1, waiting=1, movable=1)
    assert rebalance({"busy": busy, "free": replace(busy, busy=0, waiting=0, movable=0)}) == {"busy": 1}


def test_what_gathers_a_batch_is_left_alone() -> None:
    gathering = Load(slots=8, busy=0, waiting=3, movable=3)
    assert rebalance({"a": gathering, "b": replace(gathering, waiting=0, movable=0)}) == {}


def test_little_is_not_worth_a_move_while_no_slot_is_free() -> None:
    four = Load(slots=4, busy=4, waiting=4, movable=4)
    assert rebalance({"a": replace(four, waiting=8, movable=8), "b": four}) == {}
    assert rebalance({"a": replace(four, waiting=10, movable=10), "b": four}) == {"a": 3}


def test_slots_count_not_replicas() -> None:
    large = Load(slots=4, busy=4, waiting=12, movable=12)
    assert rebalance({"large": large, "small": Load(slots=1, busy=1, waiting=3, movable=3)}) == {}
    assert rebalance({"large": large, "small": Load(slots=1, busy=0, waiting=0, movable=0)}) == {"large": 3}


def test_who_has_no_limit_is_left_out() -> None:
    assert rebalance({"a": Load(slots=None, busy=50, waiting=0, movable=0)}) == {}


@given(loads())
def test_nobody_gives_more_than_may_move(before: dict[int, Load]) -> None:
    assert all(0 < number <= before[key].movable for key, number in rebalance(before).items())


@given(loads())
def test_nobody_who_may_move_waits_while_a_slot_is_free(before: dict[int, Load]) -> None:
    after = moved(before, rebalance(before))
    free = any(load.slots is not None and load.busy < load.slots for load in after.values())
    assert not free or not any(load.movable for load in after.values())


@given(loads())
def test_what_was_evened_out_is_left_alone(before: dict[int, Load]) -> None:
    assert rebalance(moved(before, rebalance(before))) == {}


@given(loads())
def test_no_queue_grows_longer_than_the_longest_was(before: dict[int, Load]) -> None:
    after = moved(before, rebalance(before))
    longest = max((load.waiting for load in before.values()), default=0)
    assert all(load.waiting <= longest for load in after.values())
