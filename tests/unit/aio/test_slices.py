from __future__ import annotations

import asyncio
from datetime import datetime

from gyrus.aio.slices import slices
from gyrus.aio.virtual import VirtualClock


class Working(VirtualClock):
    """A clock by which each item takes a millisecond."""

    def __init__(self) -> None:
        super().__init__()
        self.worked = 0.0
        self.slept = 0

    def monotonic(self) -> float:
        return self.worked

    def now(self) -> datetime:
        raise AssertionError("the present does not matter")

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        await super().sleep(seconds)


async def test_others_run_between_two_slices() -> None:
    clock, order = Working(), list[str]()

    async def other() -> None:
        order.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(other(), name="other")
        async for item in slices("abcdef", clock=clock, longest=0.0025):
            order.append(item)
            clock.worked += 0.001
    assert order == ["a", "b", "c", "other", "d", "e", "f"]
    assert clock.slept == 1


async def test_a_short_loop_is_one_slice() -> None:
    clock = Working()
    assert [item async for item in slices(range(1000), clock=clock)] == [*range(1000)]
    assert not clock.slept
