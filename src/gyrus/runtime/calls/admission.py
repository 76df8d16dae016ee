"""Where requests arrive and leave: admission, time, clients that go away, giving back, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from time import monotonic
from typing import Protocol

from gyrus.contract.problem import DRAINING, NO_REPLICA, TIMEOUT
from gyrus.contract.replica import REQUEUE_HEADER, Limits, QueueLoad
from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.deadlines import Deadlines
from gyrus.runtime.requeue import PacedRequeue, load_of
from gyrus.runtime.server.answer import Answer, Head
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.problems import RequestRefused, queue_full
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal
from gyrus.runtime.telemetry.metrics import Metrics

RETRY_AFTER = {"retry-after": "1"}


class Scheduler(Protocol):
    """Decides which call in the line is started when."""

    def admit(self, call: Call) -> bool:
        """Start it, or let it wait. False: there is no room."""
        ...

    def start_more(self) -> None:
        """A slot has become free."""
        ...

    @property
    def blocked(self) -> bool:
        """Whoever waits, waits until something that runs has ended."""
        ...

    def is_stuck(self, overdue: Set[Call]) -> bool:
        """Nothing can be started, because of calls that should have ended long ago."""
        ...


class Admission:
    """Every call that is admitted is answered at most once, and its slot released exactly once."""

    def __init__(
        self, queue: SlotQueue[Call], limits: Limits, metrics: Metrics, backlog_socket: BacklogSignal
    ) -> None:
        """``backlog_socket``: is rung when a request has to wait for others."""
        self.queue = queue
        self.draining = False
        self.overdue: dict[Call, float] = {}
        """Calls that still have a slot although their time is over, for nothing can interrupt a thread; and
        since when, in monotonic seconds."""
        self.released: Callable[[], None] | None = None
        """Called whenever a call has left."""
        self._scheduler: Scheduler | None = None
        self._limits = limits
        self._metrics = metrics
        self._deadlines: Deadlines[Call] = Deadlines(limits.timeout)
        self._timer: asyncio.TimerHandle | None = None
        self._backlog_signal = backlog_socket
        self._paced_requeue = PacedRequeue(queue, self._left)
        self._loop = asyncio.get_running_loop()

    def open(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    @property
    def load(self) -> QueueLoad:
        """Slots that a running batch leaves empty are taken: nobody can have them."""
        queue = self.queue
        busy = queue.slots if queue.slots is not None and self._blocked else queue.busy
        return load_of(queue, monotonic(), busy)

    def stuck_for(self, seconds: float) -> bool:
        """Nothing could be started for so long, because of calls that should have ended."""
        if not self.overdue or self._scheduler is None:
            return False
        before = monotonic() - seconds
        return self._scheduler.is_stuck({call for call, since in self.overdue.items() if since <= before})

    # Requests

    def admit(self, exchange: Exchange) -> None:
        call = Call(exchange, self)
        assert self._scheduler is not None
        if self.draining and self._scheduler.blocked and call.movable:
            self._requeue(call)
            return
        if call.arrived + self._limits.timeout <= exchange.arrived:
            self._refuse_late(call, "It was still waiting for a slot.")
            return
        if not self._deadlines.add(call, call.arrived):
            self._hasten_timer()
        elif self._timer is None:
            self._set_timer()
        if not self._scheduler.admit(call):
            self._deadlines.discard(call)
            self._metrics.rejected += 1
            self._refuse(call, queue_full(self.queue.slots, self.queue.waiting))
        elif self.queue.waiting:
            self._notify_if_needed()

    def requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> int:
        """Requests that wait, one a millisecond: others may have a free slot for them. Tells how many."""
        if self.draining:
            return self._paced_requeue.order(None)
        return self._paced_requeue.order(at_most, first=first, spare=spare)

    def drain(self) -> None:
        """Finish what is started; what waits, or comes while no slot is free, is given back."""
        self.draining = True
        self.requeue()

    def client_gone(self, call: Call) -> None:
        self._metrics.abandoned += 1
        if self.queue.leave(call):
            self._deadlines.discard(call)
        call.cancel()

    # For those who run calls

    def begin(self, call: Call, head: Head) -> None:
        """The answer is a stream, which may take as long as it likes."""
        self._deadlines.discard(call)
        call.exchange.begin(head)

    def answer(self, call: Call, answer: Answer | None) -> None:
        """None: there is nobody to answer, or a stream was the answer."""
        if answer is not None:
            call.exchange.answer(answer)

    def release(self, call: Call) -> None:
        """Its slot is free."""
        self.queue.finish(call)
        self._deadlines.discard(call)
        if self.overdue:
            self.overdue.pop(call, None)
        if self.queue.waiting:
            self._start_more()
            self._notify_if_needed()
        if self.released is not None:
            self.released()

    def conclude(self, call: Call, answer: Answer | None) -> None:
        self.answer(call, answer)
        self.release(call)

    def count_batch(self) -> None:
        self._metrics.batches += 1

    # Time

    def _hasten_timer(self) -> None:
        """One that comes too early does no harm."""
        due = self._deadlines.next
        if self._timer is not None and due is not None and due < self._timer.when():
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._deadlines.next
        self._timer = (
            None if due is None else self._loop.call_later(max(due - monotonic(), 0), self._time_passed)
        )

    def _time_passed(self) -> None:
        self._timer = None
        for call in self._deadlines.take_due(monotonic()):
            self._expire(call)
        self._set_timer()

    def _expire(self, call: Call) -> None:
        waited = self.queue.leave(call)
        if not waited:
            self.overdue[call] = monotonic()
        if not call.exchange.open:
            return
        self._refuse_late(
            call, "It was still waiting for a slot." if waited else "predict() was still running."
        )
        call.cancel()

    def _refuse_late(self, call: Call, what: str) -> None:
        self._metrics.timed_out += 1
        detail = f"The request was not answered within {self._limits.timeout:g} s. {what}"
        self._refuse(call, RequestRefused(TIMEOUT, detail))

    def _left(self, call: Call) -> None:
        """It waited, and does no longer."""
        self._deadlines.discard(call)
        self._requeue(call)
        if self.released is not None:
            self.released()

    def _requeue(self, call: Call) -> None:
        self._metrics.requeued += 1
        kind = DRAINING if self.draining else NO_REPLICA
        told = "The request was requeued before it was started; send it again."
        self._refuse(call, RequestRefused(kind, told, {REQUEUE_HEADER: "1", **RETRY_AFTER}))

    def _refuse(self, call: Call, refused: RequestRefused) -> None:
        call.exchange.answer(refused.answer(call.request.id))

    @property
    def _blocked(self) -> bool:
        return self._scheduler is not None and self._scheduler.blocked

    def _has_to_wait(self) -> bool:
        return self.queue.movable > 0 and self._blocked

    def _notify_if_needed(self) -> None:
        if self._has_to_wait():
            self._backlog_signal.notify(self._has_to_wait)

    def _start_more(self) -> None:
        assert self._scheduler is not None
        self._scheduler.start_more()
