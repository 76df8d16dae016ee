"""Blocking calls in threads that do not delay the end of the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DaemonThreads:
    """Runs blocking calls, each in a thread of its own, at most ``most`` at the same time.

    A cancelled caller leaves at once. The thread goes on until its call returns, and counts among ``most``
    until then; unlike a thread of ``asyncio.to_thread``, it does not delay the end of the program.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(most)

    async def run(self, call: Callable[[], T]) -> T:
        """Return the result of a call, or raise its exception."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the places of an earlier loop are of no use: it has ended
            self._loop, self._slots = loop, asyncio.Semaphore(self._most)
        slots = self._slots
        await slots.acquire()
        result: asyncio.Future[T] = loop.create_future()
        thread = threading.Thread(
            target=self._run, args=(call, loop, slots, result), name=f"{self._name} call", daemon=True
        )
        try:
            thread.start()
        except BaseException:
            slots.release()
            raise
        return await result

    def _run(
        self,
        call: Callable[[], T],
        loop: asyncio.AbstractEventLoop,
        slots: asyncio.Semaphore,
        result: asyncio.Future[T],
    ) -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = call()
        except BaseException as error:  # handed to the caller
            failure = error
        try:
            loop.call_soon_threadsafe(self._finish, slots, result, value, failure)
        except RuntimeError:
            pass  # the loop has ended, and with it the caller

    def _finish(
        self,
        slots: asyncio.Semaphore,
        result: asyncio.Future[T],
        value: T | None,
        failure: BaseException | None,
    ) -> None:
        slots.release()
        if result.done():
            return
        if failure is not None:
            result.set_exception(failure)
        else:
            result.set_result(value)  # pyright: ignore[reportArgumentType]  # T may be None itself
