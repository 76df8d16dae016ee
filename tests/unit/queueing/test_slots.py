"""The slot queue keeps its invariants under any sequence of operations."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gyrus.queueing.slots import SlotQueue
from support.examples import examples

Item = tuple[int, int]


class SlotQueues(RuleBasedStateMachine):
    """Against the simplest thing that could be right: two lists. Items are pairs: when they arrived (which is
    not the order of their coming), and their number."""

    @initialize(slots=st.none() | st.integers(1, 4), longest=st.integers(0, 5))
    def build(self, slots: int | None, longest: int) -> None:
        self.queue: SlotQueue[Item] = SlotQueue(slots, longest)
        self.slots = slots
        self.longest = longest
        self.numbers = count()
        self.waiting: list[Item] = []
        self.started: list[Item] = []
        self.begun = 0
        self.unmovable: set[Item] = set()

    def has_space(self) -> bool:
        return self.slots is None or len(self.started) < self.slots

    def wait(self, item: Item, *, movable: bool) -> None:
        full = self.slots is not None and len(self.waiting) + len(self.started) >= self.slots + self.longest
        assert self.queue.wait(item, item[0], movable=movable) is not full
        if not full:
            self.waiting = sorted([*self.waiting, item])
            self.unmovable |= set() if movable else {item}

    @rule(arrived=st.integers(0, 9), movable=st.booleans())
    def arrive(self, arrived: int, movable: bool) -> None:
        item = (arrived, next(self.numbers))
        if self.queue.start_at_once(item):
            assert not self.waiting
            assert self.has_space()
            self.started.append(item)
            self.begun += 1
            return
        assert self.waiting or not self.has_space()
        self.wait(item, movable=movable)

    @rule(arrived=st.integers(0, 9))
    def arrive_and_wait(self, arrived: int) -> None:
        """Start as for batches, where no request is started at once."""
        self.wait((arrived, next(self.numbers)), movable=True)

    @rule(at_most=st.integers(1, 5))
    def start(self, at_most: int) -> None:
        items = self.queue.start_next(at_most)
        space = at_most if self.slots is None else self.slots - len(self.started)
        expected = self.waiting[: min(at_most, space)]
        assert items == expected
        del self.waiting[: len(expected)]
        self.started += items
        self.begun += len(items)

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.started))
        self.queue.finish(item)
        self.started.remove(item)

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def pass_on(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.started))
        following = self.queue.pass_on(item)
        self.started.remove(item)
        assert following == (self.waiting[0] if self.waiting else None)
        if following is not None:
            self.started.append(self.waiting.pop(0))
            self.begun += 1

    @precondition(lambda self: self.waiting or self.started)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from([*self.waiting, *self.started]))
        assert self.queue.leave(item) is (item in self.waiting)
        if item in self.waiting:
            self.waiting.remove(item)

    @rule(at_most=st.none() | st.integers(-1, 4), first=st.integers(0, 2), spare=st.integers(0, 2))
    def requeue(self, at_most: int | None, first: int, spare: int) -> None:
        movable = [item for item in self.waiting if item not in self.unmovable]
        spared = movable[first : first + spare]
        others = [item for item in movable if item not in spared]
        number = len(others) if at_most is None else max(at_most, 0)
        going = self.queue.to_requeue(at_most, first=first, spare=spare)
        assert going == others[:number]
        for item in going:
            assert self.queue.leave(item)
            self.waiting.remove(item)

    @invariant()
    def counts_are_true(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert self.queue.waiting == len(self.waiting)
        assert self.queue.started == set(self.started)
        assert self.queue.busy == len(self.started)
        assert self.queue.begun == self.begun
        assert self.queue.first == (self.waiting[0] if self.waiting else None)
        assert self.queue.empty is not bool(self.waiting or self.started)
        assert self.slots is None or self.queue.busy <= self.slots
        movable = [arrived for arrived, number in self.waiting if (arrived, number) not in self.unmovable]
        assert self.queue.movable == len(movable)
        assert self.queue.oldest(3) == movable[:3]
        if self.slots is not None:
            assert self.queue.places == self.slots + self.longest - len(self.waiting) - len(self.started)

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        for item in self.waiting:
            assert self.queue.leave(item)
        for item in self.started:
            self.queue.finish(item)
        assert (self.queue.waiting, self.queue.busy, self.queue.empty) == (0, 0, True)


SlotQueues.TestCase.settings = settings(max_examples=examples(1.5), stateful_step_count=40, deadline=None)
TestSlotQueues = pytest.mark.slow(SlotQueues.TestCase)


def test_a_slot_is_passed_on_to_the_first_in_the_queue() -> None:
    queue: SlotQueue[str] = SlotQueue(1, 5)
    assert queue.start_at_once("a")
    assert queue.wait("young", 3.0)
    assert queue.wait("old", 1.0, movable=False)
    assert queue.pass_on("a") == "old"
    assert (queue.started, queue.movable, queue.waiting) == ({"old"}, 1, 1)
    assert (queue.pass_on("old"), queue.pass_on("young")) == ("young", None)
    assert queue.empty
    with pytest.raises(KeyError):
        queue.pass_on("young")


def test_a_slot_is_released_once() -> None:
    queue: SlotQueue[str] = SlotQueue(1, 0)
    assert queue.start_at_once("a")
    queue.finish("a")
    with pytest.raises(KeyError):
        queue.finish("a")


def test_the_next_items_stay_in_the_queue() -> None:
    queue: SlotQueue[str] = SlotQueue(1, 10)
    for item, arrived in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        queue.wait(item, arrived)
    assert queue.next(2) == ["a", "b"]
    assert queue.leave("a")
    assert (queue.next(5), queue.waiting) == (["b", "c"], 2)
