"""Threads when the machine has no more of them."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from gyrus.runtime.calls import threads as module
from gyrus.runtime.calls.threads import Ending, Threads


class Machine:
    """Starts as many threads as it is asked to, but for the next ``refusals``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refusals = 0
        start = threading.Thread.start

        def limited(thread: threading.Thread) -> None:
            if self.refusals:
                self.refusals -= 1
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)
        monkeypatch.setattr(module, "RETRY", 0.001)


async def done(threads: Threads, number: int) -> list[int]:
    """Work for that many threads, and what it returns."""
    results: list[int] = []
    complete = asyncio.Event()

    def note(item: int) -> None:
        results.append(item)
        if len(results) == number:
            complete.set()

    for item in range(number):
        threads.submit(lambda item: Ending(note, (item,)), item)
    await asyncio.wait_for(complete.wait(), 10)
    return sorted(results)


async def test_the_first_thread_is_retried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine, threads = Machine(monkeypatch), Threads(asyncio.get_running_loop(), most=2)
    machine.refusals = 3
    assert not threads.none_can_start
    working = asyncio.create_task(done(threads, 1), name="work")
    while not threads.none_can_start:  # noqa: ASYNC110 (a look needs no thread, of which there are none)
        await asyncio.sleep(0)
    assert await working == [0]
    assert not threads.none_can_start
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "the limit of processes and threads is reached" in record.getMessage()
    threads.stop()


async def test_other_threads_do_the_work_of_one_that_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, threads = Machine(monkeypatch), Threads(asyncio.get_running_loop(), most=None)
    await done(threads, 1)
    machine.refusals = 100
    assert await done(threads, 5) == [0, 1, 2, 3, 4]
    assert not threads.none_can_start
    threads.stop()


async def test_each_piece_of_work_is_followed_in_its_thread() -> None:
    seen: list[str] = []
    threads = Threads(
        asyncio.get_running_loop(), most=1, after=lambda: seen.append(threading.current_thread().name)
    )
    await done(threads, 2)
    assert seen == ["slot-0", "slot-0"]
    threads.stop()
