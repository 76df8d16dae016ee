"""Single calls: each request has a slot, and ``predict`` is called for it alone."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.call import Call


class Runner(Protocol):
    """A runner of the handler for calls that have a slot; it releases the slot when the call ends."""

    def start(self, call: Call) -> None: ...


class SingleScheduler:
    """Start each call as soon as a slot is free."""

    def __init__(self, queue: SlotQueue[Call], runner: Runner) -> None:
        self._queue = queue
        self._runner = runner

    def admit(self, call: Call) -> bool:
        if self._queue.start_at_once(call):
            self._runner.start(call)
            return True
        return self._queue.wait(call, call.arrived, movable=call.movable)

    @property
    def blocked(self) -> bool:
        return self._queue.free == 0

    def is_stuck(self, overdue: Set[Call]) -> bool:
        return self._queue.slots is not None and len(overdue) >= self._queue.slots

    def start_more(self) -> None:
        for call in self._queue.start_next(self._queue.waiting):
            self._runner.start(call)
