"""One piece of work for all callers, which ends when the last caller stops waiting."""

from __future__ import annotations

import asyncio

import pytest

from gyrus.aio.single_flight import Report, SingleFlight


class Work:
    """Goes on until it is let."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self, report: Report) -> int:
        self.begun += 1
        report(f"working {self.begun}")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault:
            raise self.fault
        return self.begun


def ignore(message: str) -> None:
    pass


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_simultaneous_calls_share_the_work() -> None:
    work, sharing, heard = Work(), SingleFlight[int]("test"), list[str]()
    first = asyncio.create_task(sharing.join("a", work, heard.append))
    await settle()
    second = asyncio.create_task(sharing.join("a", work, heard.append))
    await settle()
    work.go.set()
    assert await first == await second == 1
    assert heard == ["working 1", "working 1"]


async def test_other_keys_are_other_work() -> None:
    work, sharing = Work(), SingleFlight[int]("test")
    work.go.set()
    await asyncio.gather(sharing.join("a", work, ignore), sharing.join("b", work, ignore))
    assert work.begun == 2


async def test_all_callers_get_the_failure() -> None:
    work, sharing = Work(), SingleFlight[int]("test")
    work.fault = ValueError("no")
    work.go.set()
    results = await asyncio.gather(
        sharing.join("a", work, ignore), sharing.join("a", work, ignore), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no", "no"]
    assert work.begun == 1
    work.fault = None
    assert await sharing.join("a", work, ignore) == 2


async def test_the_work_goes_on_as_long_as_a_caller_waits() -> None:
    work, sharing = Work(), SingleFlight[int]("test")
    first = asyncio.create_task(sharing.join("a", work, ignore))
    second = asyncio.create_task(sharing.join("a", work, ignore))
    await settle()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert work.cancelled == 0
    work.go.set()
    assert await second == 1


async def test_the_work_ends_with_the_last_caller() -> None:
    work, sharing = Work(), SingleFlight[int]("test")
    tasks = [asyncio.create_task(sharing.join("a", work, ignore)) for _ in range(2)]
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert work.cancelled == 1
    work.go.set()
    assert await sharing.join("a", work, ignore) == 2
