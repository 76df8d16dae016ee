from __future__ import annotations

import asyncio

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.aio.tasks import first_of, persist, run_until
from gyrus.aio.virtual import VirtualClock


class Endless:
    """Runs until cancelled, and remembers that it was."""

    cancelled = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def fail() -> None:
    raise ValueError("broken")


async def test_first_of_returns_the_first_result_and_ends_the_rest():
    endless = Endless()

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert await first_of(endless.run(), answer()) == 42
    assert endless.cancelled


async def test_first_of_raises_what_one_raises_and_ends_the_rest():
    endless = Endless()
    with pytest.raises(ExceptionGroup) as caught:
        await first_of(endless.run(), fail())
    assert caught.group_contains(ValueError, match="broken")
    assert endless.cancelled


async def test_first_of_hands_cancellation_on():
    endless = Endless()
    task = asyncio.create_task(first_of(endless.run()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert endless.cancelled


async def test_run_until_ends_everything_when_stop_is_requested():
    stop, endless = asyncio.Event(), Endless()
    asyncio.get_running_loop().call_soon(stop.set)
    await run_until(stop, endless.run(), asyncio.sleep(0))
    assert endless.cancelled


async def test_run_until_returns_when_all_have_ended():
    stop = asyncio.Event()
    await run_until(stop, asyncio.sleep(0), asyncio.sleep(0.001))
    assert not stop.is_set()


async def test_run_until_raises_what_one_raises():
    stop, endless = asyncio.Event(), Endless()
    with pytest.raises(ExceptionGroup) as caught:
        await run_until(stop, endless.run(), fail())
    assert caught.group_contains(ValueError, match="broken")
    assert endless.cancelled


async def test_tasks_are_named_after_what_they_run():
    names: list[str] = []

    async def mine() -> None:
        task = asyncio.current_task()
        assert task
        names.append(task.get_name())

    await run_until(asyncio.Event(), mine())
    assert names[0].endswith("mine")


async def test_persist_begins_again_after_ever_longer_delays():
    clock, reported = VirtualClock(), list[tuple[str, str, float]]()
    starts: list[float] = []

    async def body() -> None:
        starts.append(clock.monotonic())
        if len(starts) < 5:
            raise ValueError(f"failure {len(starts)}")

    task = asyncio.create_task(
        persist(
            "watcher",
            body,
            backoff=Backoff(1, 4),
            clock=clock,
            on_error=lambda name, error, delay: reported.append((name, str(error), delay)),
        )
    )
    await clock.advance(20)
    await task
    assert starts == [0, 1, 3, 7, 11]
    assert reported[0] == ("watcher", "failure 1", 1)
    assert [delay for _, _, delay in reported] == [1, 2, 4, 4]


async def test_persist_forgives_a_body_that_was_well_for_long():
    clock, starts = VirtualClock(), list[float]()

    async def body() -> None:
        starts.append(clock.monotonic())
        if len(starts) == 3:
            await clock.sleep(100)
        if len(starts) < 5:
            raise ValueError

    task = asyncio.create_task(
        persist(
            "watcher", body, backoff=Backoff(1, 10), clock=clock, on_error=lambda name, error, delay: None
        )
    )
    await clock.advance(200)
    await task
    assert starts == [0, 1, 3, 104, 106]


async def test_persist_hands_cancellation_on():
    endless = Endless()
    task = asyncio.create_task(persist("watcher", endless.run, backoff=Backoff(1, 4), clock=VirtualClock()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert endless.cancelled
