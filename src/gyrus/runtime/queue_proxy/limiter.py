"""Who may go on to the server, and who waits: the runtime's line, for those who wait in tasks."""

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
    """As many wait as may."""


class Requeued(Exception):
    """It was not started, and may try its luck with another replica."""


class ConcurrencyLimiter:
    def __init__(self, slots: int | None, places: int, backlog_socket: BacklogSignal) -> None:
        """Limit to ``slots`` requests (None: no limit) and ``places`` that wait.

        ``backlog_socket`` is notified when a request has to wait.
        """
        self._queue: SlotQueue[Start] = SlotQueue(slots, places)
        self._backlog_signal = backlog_socket
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
        """``arrived``: at the gateway, in monotonic seconds. Raises Full, Requeued."""
        start: Start = asyncio.get_running_loop().create_future()
        await self._enter(start, arrived, movable=movable)
        try:
            yield
        finally:
            self._finish(start)

    def drain(self) -> None:
        """From now on nobody waits: whoever does, or comes while no slot is free, is given back."""
        self._draining = True
        self.requeue()

    def requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> int:
        """Send some who wait away, one a millisecond, or all; tells how many."""
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
            if not self._queue.leave(start) and start in self._queue.started:  # its turn came in that moment
                self._finish(start)
            raise

    def _finish(self, start: Start) -> None:
        self._queue.finish(start)
        for following in self._queue.start_next():
            if not following.done():  # else it is being cancelled, and will finish by itself
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
