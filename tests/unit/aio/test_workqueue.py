from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.aio.backoff import Backoff
from gyrus.aio.virtual import VirtualClock
from gyrus.aio.workqueue import Handle, WorkQueue


def quiet(name: str, error: Exception, delay: float) -> None:
    """Failures are expected here."""


@asynccontextmanager
async def running(queue: WorkQueue, handle: Handle, workers: int = 2) -> AsyncGenerator[None]:
    task = asyncio.create_task(queue.run(workers, handle, on_error=quiet))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Worker:
    """Works on each key for a while, and writes down when."""

    clock: VirtualClock
    takes: float = 1
    log: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    busy: set[str] = field(default_factory=set[str])
    again: dict[str, float] = field(default_factory=dict[str, float])
    failing: set[str] = field(default_factory=set[str])

    async def handle(self, key: str) -> float | None:
        assert key not in self.busy, "two workers on one key"
        self.busy.add(key)
        self.log.append((self.clock.monotonic(), key))
        try:
            await self.clock.sleep(self.takes)
        finally:
            self.busy.discard(key)
        if key in self.failing:
            raise ValueError(key)
        return self.again.get(key)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def shop(clock: VirtualClock) -> Worker:
    return Worker(clock)


async def test_keys_are_worked_on_in_order_and_once(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    for key in ("b", "a", "b", "c", "a"):
        queue.add(key)
    async with running(queue, shop.handle, workers=1):
        await clock.advance(10)
    assert shop.log == [(0, "b"), (1, "a"), (2, "c")]


async def test_a_key_added_while_worked_on_is_worked_on_once_more(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    async with running(queue, shop.handle, workers=3):
        queue.add("a")
        await clock.advance(0.5)
        queue.add("a")
        queue.add("a")
        await clock.advance(10)
    assert shop.log == [(0, "a"), (1, "a")]


async def test_the_earliest_of_several_delays_counts(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    async with running(queue, shop.handle):
        queue.add_after("a", 30)
        await clock.advance(1)
        queue.add_after("a", 9)
        queue.add_after("a", 60)
        queue.add_after("b", 4)
        await clock.advance(100)
    assert shop.log == [(5, "b"), (10, "a")]


async def test_an_add_does_not_cancel_a_delay(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    async with running(queue, shop.handle):
        queue.add_after("a", 5)
        queue.add("a")
        await clock.advance(20)
    assert shop.log == [(0, "a"), (5, "a")]


async def test_the_work_returns_when_to_look_again(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    shop.again["a"] = 9
    async with running(queue, shop.handle):
        queue.add("a")
        await clock.advance(25)
    assert shop.log == [(0, "a"), (10, "a"), (20, "a")]


async def test_failing_work_is_tried_again_ever_later_until_it_succeeds(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock, backoff=Backoff(1, 4))
    shop.takes = 0
    shop.failing.add("a")
    async with running(queue, shop.handle):
        queue.add("a")
        queue.add("b")
        await clock.advance(8)
        assert shop.log == [(0, "a"), (0, "b"), (1, "a"), (3, "a"), (7, "a")]
        assert queue.failures("a") == 4
        shop.failing.clear()
        await clock.advance(100)
        assert shop.log[5:] == [(11, "a")]
        assert queue.failures("a") == 0


async def test_failures_are_reported(clock: VirtualClock, shop: Worker):
    reported: list[tuple[str, str, float]] = []
    queue = WorkQueue(clock, backoff=Backoff(2, 4))
    shop.failing.add("a")
    task = asyncio.create_task(
        queue.run(1, shop.handle, name="control", on_error=lambda n, e, d: reported.append((n, str(e), d)))
    )
    queue.add("a")
    await clock.advance(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reported == [("control: a", "a", 2)]


async def test_work_cut_short_is_first_in_the_next_run(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    for key in ("a", "b", "c"):
        queue.add(key)
    async with running(queue, shop.handle, workers=1):
        await clock.advance(1.5)
    assert shop.log == [(0, "a"), (1, "b")]
    async with running(queue, shop.handle, workers=1):
        await clock.advance(10)
    assert shop.log[2:] == [(1.5, "b"), (2.5, "c")]


async def test_a_worker_cancelled_as_it_is_woken_leaves_the_key_to_another(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    async with running(queue, shop.handle, workers=2):
        await clock.settle()
        queue.add("a")  # wakes the first worker, which is cancelled before it runs
        next(task for task in asyncio.all_tasks() if task.get_name() == "queue-0").cancel()
        await clock.settle()
        assert shop.log == [(0, "a")]


async def test_every_task_is_named_and_ends_with_the_run(clock: VirtualClock, shop: Worker):
    queue = WorkQueue(clock)
    before = asyncio.all_tasks()
    task = asyncio.create_task(queue.run(2, shop.handle, name="control"))
    await clock.settle()
    names = {t.get_name() for t in asyncio.all_tasks() - before - {task}}
    assert {"control-time", "control-0", "control-1"} <= names
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == before


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abcd"), st.just(0.0)),
        st.tuples(st.just("after"), st.sampled_from("abcd"), st.sampled_from([0.0, 0.3, 1.0, 2.5])),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([0.0, 0.1, 0.7, 1.0, 3.0])),
        st.tuples(st.just("restart"), st.just(""), st.just(0.0)),
    ),
    max_size=25,
)


@given(acts=ACTS, workers=st.integers(1, 3), takes=st.sampled_from([0.0, 0.1, 1.0]))
def test_every_add_is_followed_by_the_start_of_work(
    acts: list[tuple[str, str, float]], workers: int, takes: float
):
    """By one worker at a time, and not more often than there were adds and cancelled works."""
    asyncio.run(_play(acts, workers, takes))


async def _play(acts: list[tuple[str, str, float]], workers: int, takes: float) -> None:
    clock = VirtualClock()
    shop, queue = Worker(clock, takes), WorkQueue(clock)
    wanted: list[tuple[str, int]] = []  # key, entries of the log when it was added
    run = asyncio.create_task(queue.run(workers, shop.handle))
    for act, key, seconds in acts:
        if act == "wait":
            await clock.advance(seconds)
        elif act == "restart":
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            run = asyncio.create_task(queue.run(workers, shop.handle))
        else:
            queue.add(key) if act == "add" else queue.add_after(key, seconds)
            wanted.append((key, len(shop.log)))
    await clock.advance(100)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    for key, seen in wanted:
        assert key in [started for _, started in shop.log[seen:]]
    restarts = sum(act == "restart" for act, _, _ in acts)
    assert len(shop.log) <= len(wanted) + restarts * workers
