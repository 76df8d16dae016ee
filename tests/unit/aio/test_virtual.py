from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from gyrus.aio.virtual import VirtualClock


async def test_time_stands_still_until_it_is_advanced():
    start = datetime(2031, 5, 4, tzinfo=UTC)
    clock = VirtualClock(start)
    await clock.settle()
    assert (clock.now(), clock.monotonic()) == (start, 0)
    await clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (start + timedelta(seconds=90), 90)


async def test_sleepers_wake_in_order_each_at_its_own_time():
    clock, woken = VirtualClock(), list[tuple[str, float]]()

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 5, 5), name="a")
        group.create_task(sleeper("b", 3, 3, 3), name="b")
        await clock.advance(6)
        assert woken == [("b", 3), ("a", 5), ("b", 6)]
        await clock.advance(4)
    assert woken[3:] == [("b", 9), ("a", 10)]


async def test_a_cancelled_sleeper_is_forgotten():
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.settle()
    assert clock.next_wake == 10
    task.cancel()
    await clock.settle()
    assert clock.next_wake is None
    await clock.advance(20)
    assert task.cancelled()


async def test_no_sleep_at_all_gives_way_once():
    clock, order = VirtualClock(), list[str]()

    async def one() -> None:
        await clock.sleep(0)
        order.append("one")

    async def two() -> None:
        order.append("two")

    await asyncio.gather(one(), two())
    assert order == ["two", "one"]
