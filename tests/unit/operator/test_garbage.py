from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.operator.garbage import THOROUGH, collect_garbage


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
async def clock() -> AsyncIterator[VirtualClock]:
    """While garbage is collected."""
    clock = VirtualClock()
    async with asyncio.TaskGroup() as group:
        collecting = group.create_task(collect_garbage(clock), name="garbage")
        await clock.settle()
        yield clock
        collecting.cancel()


async def test_what_survives_a_full_collection_is_not_visited_again(clock: VirtualClock) -> None:
    kept = [Cycle() for _ in range(1000)]
    assert any(each is kept for each in gc.get_objects())
    gc.collect()
    assert not any(each is kept for each in gc.get_objects())


async def test_garbage_that_never_survived_is_collected(clock: VirtualClock) -> None:
    gone = weakref.ref(Cycle())
    gc.collect()
    assert gone() is None


async def test_frozen_garbage_goes_with_the_next_thorough_collection(clock: VirtualClock) -> None:
    made = Cycle()
    gone = weakref.ref(made)
    gc.collect()
    del made
    gc.collect()
    assert gone() is not None
    await clock.advance(THOROUGH)
    assert gone() is None


async def test_cancelling_undoes_it() -> None:
    clock, before = VirtualClock(), (len(gc.callbacks), gc.get_threshold())
    collecting = asyncio.create_task(collect_garbage(clock), name="garbage")
    await clock.settle()
    collecting.cancel()
    await asyncio.wait([collecting])
    assert (len(gc.callbacks), gc.get_threshold()) == before
    assert not gc.get_freeze_count()
