"""Tasks with an owner and an end: the first of several, all until a bell, one that is begun again.

Everything here waits for what it started, and hands on cancellation. To start a named task that lives as
long as a block, use ``group.create_task(body, name=…)`` of :class:`asyncio.TaskGroup`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")
Body = Coroutine[Any, Any, T]
OnError = Callable[[str, Exception, float], None]
"""Is told the name of what failed, its error, and the seconds until the next try."""


def log_error(name: str, error: Exception, delay: float) -> None:
    log.error("%s failed and begins again in %.1f s", name, delay, exc_info=error)


async def first_of(*bodies: Body[T]) -> T:
    """The result of whichever ends first; the others are cancelled, and have ended when this returns.

    What any of them raises is raised in an ExceptionGroup.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(body, name=_name(body)) for body in bodies]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = next(task for task in tasks if task.done())
        for task in tasks:
            task.cancel()
    return winner.result()


async def run_until(stop: asyncio.Event, *bodies: Body[object]) -> None:
    """Run all of them until ``stop`` is set, then cancel those that go on, and wait for their end.

    Returns earlier where all have ended. What one of them raises ends the others and is raised in an
    ExceptionGroup.
    """
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(stop.wait(), name="stop")
        running: set[asyncio.Task[Any]] = {group.create_task(body, name=_name(body)) for body in bodies}
        while running and not stopping.done():
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
            running = {task for task in running if not task.done()}
        for task in (stopping, *running):
            task.cancel()


async def persist(
    name: str,
    body: Callable[[], Awaitable[object]],
    *,
    backoff: Backoff,
    clock: Clock,
    on_error: OnError = log_error,
) -> None:
    """Run ``body``, and again whenever it raises, after ever longer delays. Returns when it returns.

    A body that has run for longer than the longest delay is taken to have been well: its next failure counts
    as the first.
    """
    failures = 0
    while True:
        started = clock.monotonic()
        try:
            await body()
            return
        except Exception as error:
            if clock.monotonic() - started > backoff.most:
                failures = 0
            delay = backoff.delay(failures)
            on_error(name, error, delay)
        failures += 1
        await clock.sleep(delay)


def _name(body: Body[Any]) -> str:
    return getattr(body, "__qualname__", type(body).__name__)
