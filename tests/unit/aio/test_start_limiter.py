"""Permits are given in order of arrival, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from gyrus.aio.start_limiter import FairSemaphore, Permit

LONG = 1000.0


def ignore(before: int) -> None:
    pass


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_permits_are_granted_in_order_and_positions_reported() -> None:
    semaphore = FairSemaphore(1, LONG)
    first = await semaphore.take(ignore)
    reported: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    tasks = {name: asyncio.create_task(semaphore.take(reported[name].append)) for name in reported}
    await settle()
    first.release()
    a = await tasks["a"]
    assert not tasks["b"].done()
    a.release()
    (await tasks["b"]).release()
    (await tasks["c"]).release()
    assert reported == {"a": [0], "b": [1, 0], "c": [2, 1, 0]}


async def test_returning_a_permit_twice_is_returning_it_once() -> None:
    semaphore = FairSemaphore(1, LONG)
    permit = await semaphore.take(ignore)
    permit.release()
    permit.release()
    await semaphore.take(ignore)
    waiting = asyncio.create_task(semaphore.take(ignore))
    await settle()
    assert not waiting.done()
    waiting.cancel()


async def test_a_turn_ends_by_itself() -> None:
    semaphore = FairSemaphore(1, 0.01)
    await semaphore.take(ignore)
    async with asyncio.timeout(5):
        await semaphore.take(ignore)


@pytest.mark.parametrize("given", [False, True], ids=["while waiting", "just as it is given"])
async def test_a_caller_that_leaves_passes_its_permit_on(given: bool) -> None:
    semaphore = FairSemaphore(1, LONG)
    first = await semaphore.take(ignore)
    leaving: asyncio.Task[Permit] = asyncio.create_task(semaphore.take(ignore))
    staying = asyncio.create_task(semaphore.take(ignore))
    await settle()
    if given:
        first.release()
    leaving.cancel()
    await asyncio.wait((leaving,))
    assert leaving.cancelled()
    first.release()
    async with asyncio.timeout(5):
        await staying


async def test_newcomers_do_not_overtake_waiting_callers() -> None:
    semaphore = FairSemaphore(1, LONG)
    first = await semaphore.take(ignore)
    waiting = asyncio.create_task(semaphore.take(ignore))
    await settle()
    first.release()
    newcomer = asyncio.create_task(semaphore.take(ignore))
    await settle()
    assert waiting.done()
    assert not newcomer.done()
    newcomer.cancel()
