"""No slot is lost or given twice, in whatever order requests wait, start and leave."""

from __future__ import annotations

import asyncio
import random

import pytest

from gyrus.runtime.queue_proxy.limiter import ConcurrencyLimiter, QueueFull, Requeued
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal

SILENT = BacklogSignal(None, "a")


@pytest.mark.parametrize("seed", range(20))
async def test_slots_are_neither_lost_nor_given_twice(seed: int) -> None:
    chance, gate, most = random.Random(seed), ConcurrencyLimiter(3, 10, SILENT), 0

    async def visit() -> None:
        nonlocal most
        async with gate.slot(chance.random()):
            most = max(most, gate.running)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)

    visits: list[asyncio.Task[None]] = []
    for _ in range(200):
        visits.append(asyncio.create_task(visit()))
        match chance.randrange(6):
            case 0:
                chance.choice(visits).cancel()
            case 1:
                gate.requeue(chance.randrange(3))
            case _:
                await asyncio.sleep(0)
    ends = await asyncio.gather(*visits, return_exceptions=True)
    kinds = {type(end) for end in ends}
    assert kinds <= {type(None), QueueFull, Requeued, asyncio.CancelledError}
    assert type(None) in kinds
    assert most <= 3
    assert (gate.running, gate.waiting) == (0, 0)


async def test_a_slot_for_a_request_that_is_just_leaving_goes_on() -> None:
    gate = ConcurrencyLimiter(1, 2, SILENT)
    entered = asyncio.Event()

    async def visit() -> None:
        async with gate.slot(0.0):
            entered.set()

    async with gate.slot(0.0):
        leaving = asyncio.create_task(visit())
        await asyncio.sleep(0)
        following = asyncio.create_task(visit())
        await asyncio.sleep(0)
        assert gate.waiting == 2
        leaving.cancel()
    await following
    assert leaving.cancelled()
    assert entered.is_set()
    assert gate.running == 0
