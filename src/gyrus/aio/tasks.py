"""Tasks with an owner and an end: the first of several, all until an event, one that restarts on failure.

Each function waits for the tasks that it started and passes cancellation on to them. To start a named task
that lives as long as a block, use ``group.create_task(body, name=…)`` of :class:`asyncio.TaskGroup`.
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
"""Callback that takes the name of the failed task, its error, and the seconds until the next try."""


def log_error(name: str, error: Exception, delay: float) -> None:
    log.error("%s failed; starting it again in %.1f s", name, delay, exc_info=error)


async def first_of(*bodies: Body[T]) -> T:
    """Return the result of the body that ends first; the others are cancelled and have ended by then.

    Raises an ExceptionGroup if any of them raises.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(body, name=_name(body)) for body in bodies]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = next(task for task in tasks if task.done())
        for task in tasks:
            task.cancel()
    return winner.result()


async def run_until(stop: asyncio.Event, *bodies: Body[object]) -> None:
    """Run all bodies until ``stop`` is set, then cancel those still running and wait until they end.

    Returns earlier if all have ended. An error in one of them ends the others. Raises it in an
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
    """Run ``body``, and again after each error, with growing delays. Returns when it returns.

    A body that has run for longer than the longest delay counts as healthy: its next failure counts as the
    first.
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
