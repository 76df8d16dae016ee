import asyncio
import threading

import pytest

from gyrus.aio.daemon_threads import DaemonThreads


async def test_results_and_exceptions_reach_the_caller():
    threads = DaemonThreads("test", 2)

    def fail() -> None:
        raise KeyError("cause")

    assert await threads.run(lambda: threading.current_thread().name) == "test call"
    assert await threads.run(lambda: None) is None
    with pytest.raises(KeyError, match="cause"):
        await threads.run(fail)


async def test_no_more_calls_than_allowed_run_at_the_same_time():
    threads = DaemonThreads("test", 3)
    running: list[int] = []
    together: list[int] = []
    lock = threading.Lock()
    all_three = threading.Barrier(3)

    def call() -> None:
        with lock:
            running.append(1)
            together.append(len(running))
        all_three.wait(30)
        with lock:
            running.pop()

    async with asyncio.TaskGroup() as group:
        for _ in range(9):
            group.create_task(threads.run(call))
    assert max(together) == 3


async def test_a_cancelled_caller_leaves_at_once_and_its_thread_keeps_its_place():
    threads = DaemonThreads("test", 1)
    started, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        may_end.wait(30)

    caller = asyncio.create_task(threads.run(slow))
    await asyncio.to_thread(started.wait, 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    following = asyncio.create_task(threads.run(lambda: may_end.is_set()))
    await asyncio.sleep(0)
    assert not following.done()
    may_end.set()
    assert await following is True


def test_threads_serve_one_loop_after_the_other():
    threads = DaemonThreads("test", 2)

    async def six() -> list[int]:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(threads.run(lambda: 1)) for _ in range(6)]
        return [task.result() for task in running]

    assert asyncio.run(six()) == asyncio.run(six()) == [1] * 6
