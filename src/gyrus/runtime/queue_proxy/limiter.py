"""The limit of concurrent requests to the server: the runtime's queue, for requests that wait in tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

from gyrus.contract.replica import QueueLoad
from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.requeue import PacedRequeue, load_of
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal

Start = asyncio.Future[None]


class QueueFull(Exception):
    """The queue is full."""


class Requeued(Exception):
    """The request was not started and may be retried on another replica."""


class ConcurrencyLimiter:
    """A limit of concurrent requests, with a queue in front of it."""

    def __init__(self, slots: int | None, places: int, backlog_signal: BacklogSignal) -> None:
        """Limit to ``slots`` requests (None: no limit) and ``places`` that wait.

        ``backlog_signal`` is notified when a request has to wait.
        """
        self._queue: SlotQueue[Start] = SlotQueue(slots, places)
        self._backlog_signal = backlog_signal
        self._paced_requeue = PacedRequeue(self._queue, _send_away)
        self._draining = False

    @property
    def running(self) -> int:
        return self._queue.busy

    @property
    def waiting(self) -> int:
        return self._queue.waiting

    @property
    def load(self) -> QueueLoad:
        return load_of(self._queue, monotonic(), self._queue.busy)

    @asynccontextmanager
    async def slot(self, arrived: float, *, movable: bool = True) -> AsyncGenerator[None]:
        """Wait for a slot, and hold it for the block. Raises QueueFull, Requeued.

        ``arrived``: monotonic seconds of the request's arrival at the gateway.
        """
        start: Start = asyncio.get_running_loop().create_future()
        await self._enter(start, arrived, movable=movable)
        try:
            yield
        finally:
            self._finish(start)

    def drain(self) -> None:
        """Requeue all waiting requests, and from now on those that arrive while no slot is free."""
        self._draining = True
        self.requeue()

    def requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> int:
        """Requeue ``at_most`` waiting requests (None: all), one per millisecond, and return their number."""
        if self._draining:
            return self._paced_requeue.order(None)
        return self._paced_requeue.order(at_most, first=first, spare=spare)

    async def _enter(self, start: Start, arrived: float, *, movable: bool) -> None:
        if self._queue.start_at_once(start):
            return
        if self._draining and movable:
            raise Requeued
        if not self._queue.wait(start, arrived, movable=movable):
            raise QueueFull
        self._notify_if_needed()
        try:
            await start
        except asyncio.CancelledError:
            # The request may have got its slot in the same turn of the loop in which it was cancelled.
            if not self._queue.leave(start) and start in self._queue.started:
                self._finish(start)
            raise

    def _finish(self, start: Start) -> None:
        self._queue.finish(start)
        for following in self._queue.start_next():
            if not following.done():  # else it is being cancelled, and _enter frees its slot
                following.set_result(None)
        self._notify_if_needed()

    def _has_to_wait(self) -> bool:
        return self._queue.movable > 0

    def _notify_if_needed(self) -> None:
        if self._has_to_wait():
            self._backlog_signal.notify(self._has_to_wait)


def _send_away(start: Start) -> None:
    if not start.done():
        start.set_exception(Requeued())
