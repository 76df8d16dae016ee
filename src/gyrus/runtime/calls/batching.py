"""Batches: requests that arrive close to each other become one call; ``predict`` takes and returns lists.

Each request has its own slot while its batch runs. Until then it waits in the queue like any other, so it can
leave, be requeued or reach its deadline. A batch starts when it is full, or when the plan decides so. While
as many batches run as the slots allow, the next ones grow.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Protocol

from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.batch_plan import BatchPlan
from gyrus.runtime.calls.batch_waits import AutoWait, BatchRun, FixedWait
from gyrus.runtime.calls.call import Call


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A batch that has started: its calls have slots."""

    calls: Sequence[Call]
    run: BatchRun


class BatchRunner(Protocol):
    """A runner of the handler for calls that have slots."""

    def start(self, batch: Started, ended: Callable[..., Started | None]) -> None:
        """Run the batch, and call ``ended`` when it no longer needs its slots.

        ``ended`` takes the batch, and ``measured``: whether its time is typical of its size. It returns the
        batch that the runner runs next, if one starts at once. It may be called in any thread.
        """
        ...

    def queued(self, waiting: int) -> None:
        """Note that so many calls wait while no batch can start."""
        ...


class BatchScheduler:
    """Start batches as the plan decides. Threads that have ended a batch take the next one themselves."""

    def __init__(self, queue: SlotQueue[Call], runner: BatchRunner, size: int, wait: float | None) -> None:
        """``wait``: the most seconds that a call waits for others. None: as long as it pays."""
        parallel = None if queue.slots is None else max(1, queue.slots // size)
        self._queue = queue
        self._runner = runner
        self._plan = BatchPlan(size, AutoWait(size) if wait is None else FixedWait(wait), parallel)
        self._lock = threading.Lock()
        """Guards the plan and the running batches, together with the changes of the queue that they cause."""
        self._running: list[Started] = []
        self._timer: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None
        self._loop = asyncio.get_running_loop()

    def admit(self, call: Call) -> bool:
        queue = self._queue
        if not queue.wait(call, call.arrived, movable=call.movable):
            return False
        with self._lock:
            self._plan.arrived(call.exchange.arrived)
            blocked, full = self._plan.blocked, self._plan.is_full(queue.waiting, queue.free)
        if blocked:
            self._runner.queued(queue.waiting)
        elif full:
            self.start_more()
        elif self._turn is None:
            # At the end of the turn, the loop has read all requests that arrived together.
            self._turn = self._loop.call_soon(self._end_turn)
        return True

    def start_more(self) -> None:
        """Start the batches that are due, and set the timer for the next one."""
        while True:
            with self._lock:
                patience = self._patience()
                batch = self._take() if patience <= 0 else None
            if batch is None:
                break
            self._runner.start(batch, self._ended)
        self._set_timer(patience)

    @property
    def blocked(self) -> bool:
        return self._plan.blocked

    def is_stuck(self, overdue: Set[Call]) -> bool:
        parallel = self._plan.parallel
        with self._lock:
            running = tuple(self._running)
        stuck = sum(all(call in overdue for call in batch.calls) for batch in running)
        return parallel is not None and stuck >= parallel

    def _end_turn(self) -> None:
        self._turn = None
        self.start_more()

    def _set_timer(self, patience: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if patience < inf:
            self._timer = self._loop.call_later(patience, self.start_more)

    def _ended(self, batch: Started, *, measured: bool) -> Started | None:
        """Release the slots of a batch, and return the next one if it starts at once in the same thread."""
        queue = self._queue
        with self._lock:
            self._running.remove(batch)
            for call in batch.calls:
                queue.finish(call)
            self._plan.ended(monotonic(), batch.run, queue.waiting, measured=measured)
            return self._take() if self._plan.follows(queue.waiting, queue.free) else None

    def _patience(self) -> float:
        first = self._queue.first
        if first is None:
            return inf
        return self._plan.patience(monotonic(), self._queue.waiting, self._queue.free, first.exchange.arrived)

    def _take(self) -> Started | None:
        """Start the next batch. Returns None if its calls have just left the queue."""
        calls = self._queue.start_next(self._plan.size)
        if not calls:
            return None
        batch = Started(calls, self._plan.started(monotonic(), len(calls)))
        self._running.append(batch)
        return batch
