"""The handler's own work on the event loop that serves: ``setup``, the tasks that it starts, ``teardown``.

A task that only the handler refers to may be collected, and its failure may stay unnoticed for ever. So the
tasks are kept here until they end, and their failures are logged.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from gyrus.contract.replica import Reason
from gyrus.runtime.calls.steps import log_failure
from gyrus.runtime.calls.streams import run_in_thread
from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.handler.failure import LoadFailed, failed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.telemetry.runtime_log import runtime_log

ENDING = 1.0
"""Seconds that cancelled tasks may take to end."""


class Background:
    """The owner of the handler's own tasks. Create it on the event loop before any other task."""

    def __init__(self, handler: LoadedHandler) -> None:
        self._handler = handler
        self._tasks: set[asyncio.Task[Any]] = set()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # those that __init__ has started
            self._keep(task)

    async def set_up(self) -> None:
        """Await the handler's ``setup``. Raises LoadFailed."""
        if self._handler.setup is None:
            return
        with self._keeping():
            try:
                await self._handler.setup()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # SystemExit too: the supervisor reports why the start failed
                raise self._failed(error) from error

    async def tear_down(self, threads: Threads, seconds: float) -> None:
        """Run the handler's ``teardown`` for these seconds at most, then cancel the tasks that still run."""
        if self._handler.teardown is not None:
            try:
                async with asyncio.timeout(seconds):
                    await self._torn_down(threads)
            except TimeoutError:
                runtime_log.error(
                    f"teardown did not end within the rest of the grace period, {seconds:.1f} s"
                )
            except BaseException as error:
                log_failure(error, "teardown")
        await self._cancel_tasks()

    async def _torn_down(self, threads: Threads) -> None:
        teardown = self._handler.teardown
        assert teardown is not None
        if inspect.iscoroutinefunction(teardown):
            await teardown()
        else:
            result = await run_in_thread(threads, teardown)
            if inspect.isawaitable(result):
                await result

    def _failed(self, error: BaseException) -> LoadFailed:
        return failed(Reason.INIT, f"{type(self._handler.instance).__name__}.setup failed", error)

    # Tasks

    @contextmanager
    def _keeping(self) -> Generator[None]:
        """Keep the tasks that are created in the block."""
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()

        def create(loop: asyncio.AbstractEventLoop, body: Any, **more: Any) -> asyncio.Task[Any]:
            task: asyncio.Task[Any] = asyncio.Task(body, loop=loop, **more)
            self._keep(task)
            return task

        loop.set_task_factory(create)
        try:
            yield
        finally:
            if loop.get_task_factory() is create:  # else setup has chosen another one
                loop.set_task_factory(before)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        # In the next turn of the loop, a task that awaits this one has seen its failure.
        task.get_loop().call_soon(self._report, task)

    def _report(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        unseen = getattr(task, "_log_traceback", True)
        if not task.cancelled() and unseen and (error := task.exception()):
            log_failure(error, f"the background task {task.get_name()}")

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ENDING)


def log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that no task handles. An exception handler of the event loop."""
    message = context.get("message", "an error on the event loop")
    error = context.get("exception")
    if isinstance(error, BaseException):
        log_failure(error, f"event loop: {message}:")
    else:
        runtime_log.error(f"event loop: {message}")
