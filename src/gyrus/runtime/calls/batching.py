"""Batches: requests that arrive close to each other become one call; ``predict`` takes and returns lists.

Each request has its own slot while its batch runs. Until then it waits in the queue like any other, so it can
leave, be requeued or reach its deadline. A batch starts when it is full or when its first request has waited
long enough. While as many batches run as the slots allow, the next ones grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from functools import partial
from time import monotonic
from typing import Protocol

from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.call import Call


class BatchRunner(Protocol):
    """A runner of the handler for calls that have slots; it then releases the slots and calls ``done``."""

    def start(self, calls: Sequence[Call], done: Callable[[], None]) -> None: ...


class BatchScheduler:
    """Start batches of up to ``size`` calls; no call waits for others longer than ``wait`` seconds."""

    def __init__(self, queue: SlotQueue[Call], runner: BatchRunner, size: int, wait: float) -> None:
        self._queue = queue
        self._runner = runner
        self._size = size
        self._wait = wait
        self._parallel = None if queue.slots is None else max(1, queue.slots // size)
        self._running: list[Sequence[Call]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def admit(self, call: Call) -> bool:
        if not self._queue.wait(call, call.arrived, movable=call.movable):
            return False
        self.start_more()
        return True

    def start_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._parallel is None or len(self._running) < self._parallel:
            if (patience := self._patience()) is None:
                return
            if patience > 0:
                self._timer = self._loop.call_later(patience, self.start_more)
                return
            batch = self._queue.start_next(self._size)
            self._running.append(batch)
            self._runner.start(batch, partial(self._ended, batch))

    def _patience(self) -> float | None:
        """Return the seconds that the next batch may still grow. Returns None if no call or slot is there."""
        first, free = self._queue.first, self._queue.free
        if first is None or free == 0:
            return None
        if self._queue.waiting >= (self._size if free is None else min(self._size, free)):
            return 0.0
        return first.exchange.arrived + self._wait - monotonic()

    @property
    def blocked(self) -> bool:
        return self._parallel is not None and len(self._running) >= self._parallel

    def is_stuck(self, overdue: Set[Call]) -> bool:
        stuck = sum(all(call in overdue for call in batch) for batch in self._running)
        return self._parallel is not None and stuck >= self._parallel

    def _ended(self, batch: Sequence[Call]) -> None:
        self._running.remove(batch)
        self.start_more()
