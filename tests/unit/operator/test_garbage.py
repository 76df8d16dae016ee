from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.operator.garbage import (
    FULL,
    GROWTH,
    LONGEST,
    LOOK,
    MIDDLE,
    PATIENCE,
    QUIET_LOOK,
    collect_garbage,
    collect_thoroughly,
    short_collections,
)

BEFORE = 1000
GROWN = round(BEFORE * (1 + GROWTH))
"""Bytes."""


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@dataclass
class Process:
    """The inputs of the decision to collect thoroughly."""

    clock: VirtualClock
    peak: int = BEFORE
    quiet: bool = True


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    with short_collections():
        yield


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """While garbage is collected."""
    process = Process(VirtualClock())
    async with asyncio.TaskGroup() as group:
        body = collect_garbage(process.clock, lambda: process.quiet, lambda: process.peak)
        collecting = group.create_task(body, name="garbage")
        await process.clock.settle()
        yield process
        collecting.cancel()


def frozen_garbage() -> weakref.ref[Cycle]:
    """Return a reference to a cycle that has survived a collection, and that nothing refers to."""
    made = Cycle()
    gone = weakref.ref(made)
    gc.collect()
    del made
    gc.collect()
    assert gone() is not None
    return gone


def test_what_is_alive_before_is_never_visited() -> None:
    assert not gc.get_objects()[1000:]
    assert gc.get_freeze_count() > 10_000


def test_what_survives_a_full_collection_is_not_visited_again() -> None:
    kept = [Cycle() for _ in range(1000)]
    assert any(each is kept for each in gc.get_objects())
    gc.collect()
    assert not any(each is kept for each in gc.get_objects())


def test_no_collection_visits_many_objects() -> None:
    """Whatever is created and kept, as when an operator restores its state."""
    young, visited = gc.get_threshold()[0], list[int]()

    def look(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            visited.append(sum(len(gc.get_objects(each)) for each in range(info["generation"] + 1)))

    gc.callbacks.append(look)
    try:
        kept = [Cycle() for _ in range(50_000)]
    finally:
        gc.callbacks.remove(look)
    assert kept
    assert max(visited) <= 2 * (young + 1) * (MIDDLE + 1) * (FULL + 1)  # twice: the middle generation's too


def test_garbage_that_never_survived_is_collected() -> None:
    gone = weakref.ref(Cycle())
    gc.collect()
    assert gone() is None


def test_a_thorough_collection_ends_frozen_garbage_and_freezes_again() -> None:
    gone, kept = frozen_garbage(), Cycle()
    collect_thoroughly()
    assert gone() is None
    assert not any(each is kept for each in gc.get_objects())


async def test_frozen_garbage_goes_when_memory_has_grown(process: Process) -> None:
    gone = frozen_garbage()
    await process.clock.advance(LOOK)
    process.peak = round(GROWN * 0.99)
    await process.clock.advance(2 * LOOK)
    assert gone() is not None
    process.peak = GROWN
    await process.clock.advance(LOOK)
    assert gone() is None
    gone = frozen_garbage()
    await process.clock.advance(5 * LOOK)
    assert gone() is not None  # the growth counts from the last collection


async def test_the_memory_of_the_start_is_no_growth(process: Process) -> None:
    gone, process.peak = frozen_garbage(), 10 * GROWN
    await process.clock.advance(5 * LOOK)
    assert gone() is not None


async def test_frozen_garbage_goes_in_the_end_without_growth(process: Process) -> None:
    gone = frozen_garbage()
    await process.clock.advance(LONGEST)
    assert gone() is None


async def test_a_thorough_collection_waits_while_requests_wait(process: Process) -> None:
    gone, process.quiet = frozen_garbage(), False
    await process.clock.advance(LOOK)
    process.peak = GROWN
    await process.clock.advance(2 * LOOK)
    assert gone() is not None
    process.quiet = True
    await process.clock.advance(QUIET_LOOK)
    assert gone() is None


async def test_requests_that_always_wait_do_not_prevent_it(process: Process) -> None:
    gone, process.quiet = frozen_garbage(), False
    await process.clock.advance(LOOK)
    process.peak = GROWN
    await process.clock.advance(LOOK + PATIENCE)
    assert gone() is None


def test_the_end_of_the_block_undoes_it() -> None:
    before = len(gc.callbacks), gc.get_threshold()
    with short_collections():
        pass
    assert (len(gc.callbacks), gc.get_threshold()) == before
    assert not gc.get_freeze_count()
