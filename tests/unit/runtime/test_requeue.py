"""Requeueing: which requests, in which order, and at which pace."""

from __future__ import annotations

from time import monotonic

from gyrus.queueing.slots import SlotQueue
from gyrus.queueing.timing import REQUEUE_EVERY
from gyrus.runtime.requeue import PacedRequeue
from support.serving import eventually


def full(waiting: int) -> SlotQueue[int]:
    queue: SlotQueue[int] = SlotQueue(1, waiting)
    assert queue.start_at_once(-1)
    for item in range(waiting):
        assert queue.wait(item, float(item))
    return queue


async def test_they_go_one_by_one_the_oldest_first() -> None:
    queue, gone = full(30), list[tuple[int, float]]()
    began = monotonic()
    assert PacedRequeue(queue, lambda item: gone.append((item, monotonic() - began))).order(20) == 20
    assert len(gone) == 1
    await eventually(lambda: len(gone) == 20)
    assert [item for item, _ in gone] == list(range(20))
    assert all(when >= number * REQUEUE_EVERY * 0.9 for number, (_, when) in enumerate(gone))
    assert queue.waiting == 10


async def test_started_and_left_requests_are_passed_over() -> None:
    queue, gone = full(4), list[int]()
    assert PacedRequeue(queue, gone.append).order(None) == 4
    queue.finish(-1)
    assert queue.start_next() == [1]
    assert queue.leave(2)
    await eventually(lambda: queue.waiting == 0)
    assert gone == [0, 3]
    assert queue.started == {1}


async def test_a_later_order_concerns_the_requests_that_wait_then() -> None:
    queue, gone = full(9), list[int]()
    requeue = PacedRequeue(queue, gone.append)
    assert requeue.order(9) == 9
    assert requeue.order(2) == 2
    await eventually(lambda: len(gone) == 3)
    assert gone == [0, 1, 2]
    assert requeue.order(None) == 6
    await eventually(lambda: queue.waiting == 0)
