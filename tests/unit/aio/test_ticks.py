from __future__ import annotations

import asyncio

from gyrus.aio.ticks import ticks
from gyrus.aio.virtual import VirtualClock


async def ticked(clock: VirtualClock, *works: float) -> list[float]:
    """When ticks came, while the work at each took so long."""
    seen: list[float] = []

    async def tick() -> None:
        async for _ in ticks(clock, 1):
            seen.append(clock.monotonic())
            if len(seen) > len(works):
                return
            await clock.sleep(works[len(seen) - 1])

    async with asyncio.TaskGroup() as group:
        task = group.create_task(tick())
        while not task.done():
            await clock.advance(0.25)
    return seen


async def test_work_delays_no_later_tick() -> None:
    assert await ticked(VirtualClock(), 0, 0.25, 0.75) == [0, 1, 2, 3]


async def test_what_is_over_is_left_out() -> None:
    assert await ticked(VirtualClock(), 0, 2.5, 0) == [0, 1, 4, 5]
