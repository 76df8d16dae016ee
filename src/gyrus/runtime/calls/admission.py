"""The arrival and departure of requests: admission, deadlines, disconnects, requeueing, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Set
from time import monotonic
from typing import Protocol

from gyrus.contract.problem import DRAINING, NO_REPLICA, POISON, TIMEOUT
from gyrus.contract.replica import REQUEUE_HEADER, Limits, QueueLoad
from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.deadlines import Deadlines
from gyrus.runtime.calls.steps import failure
from gyrus.runtime.calls.suspects import MOST_DEATHS, Suspects
from gyrus.runtime.requeue import PacedRequeue, load_of
from gyrus.runtime.server.answer import Answer, Head
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.problems import RequestRefused, queue_full, tries_used_up
from gyrus.runtime.started import StartedRequests
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal
from gyrus.runtime.telemetry.metrics import Metrics

RETRY_AFTER = {"retry-after": "1"}


class Scheduler(Protocol):
    """The rule by which the calls in the queue are started."""

    def admit(self, call: Call) -> bool:
        """Start the call, or let it wait. Returns False if the queue is full."""
        ...

    def start_more(self) -> None:
        """Start waiting calls; a slot has become free."""
        ...

    @property
    def blocked(self) -> bool:
        """True if waiting calls cannot start before a running one ends."""
        ...

    def is_stuck(self, overdue: Set[Call]) -> bool:
        """Return True if no call can be started because of calls that should have ended long ago."""
        ...


class Admission:
    """The owner of all calls: it answers each at most once, and releases its slot exactly once."""

    def __init__(
        self,
        queue: SlotQueue[Call],
        limits: Limits,
        metrics: Metrics,
        backlog_signal: BacklogSignal,
        requests: StartedRequests | None = None,
        report_poison: Callable[[str], None] = lambda request_id: None,
    ) -> None:
        """Notify ``backlog_signal`` when a request has to wait for others.

        ``requests``: the record of started requests; None: no request is refused for what it did elsewhere.
        ``report_poison`` is called with the id of a request that is.
        """
        self.queue = queue
        self._suspects = Suspects(requests, self) if requests is not None else None
        self._requests = requests
        self._report_poison = report_poison
        self.draining = False
        self.overdue: dict[Call, float] = {}
        """Monotonic seconds of expiry, by call that still has a slot after its deadline.

        Nothing can interrupt a thread, so such a call keeps its slot until the handler returns.
        """
        self.released: Callable[[], None] | None = None
        """Callback for every call that has left."""
        self._scheduler: Scheduler | None = None
        self._limits = limits
        self._metrics = metrics
        self._deadlines: Deadlines[Call] = Deadlines(limits.timeout)
        self._timer: asyncio.TimerHandle | None = None
        self._backlog_signal = backlog_signal
        self._paced_requeue = PacedRequeue(queue, self._left)
        self._loop = asyncio.get_running_loop()

    @property
    def max_body(self) -> int:
        """The longest body, in bytes, also once it is decompressed."""
        return self._limits.max_body

    def open(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    @property
    def load(self) -> QueueLoad:
        """The queue's load. Slots that a running batch leaves empty count as busy: no call can have them."""
        queue = self.queue
        busy = queue.slots if queue.slots is not None and self._blocked else queue.busy
        return load_of(queue, monotonic(), busy)

    def stuck_for(self, seconds: float) -> bool:
        """Return True if, for this many seconds, no call could start because of calls past their deadline."""
        if not self.overdue or self._scheduler is None:
            return False
        before = monotonic() - seconds
        return self._scheduler.is_stuck({call for call, since in self.overdue.items() if since <= before})

    # Requests

    def admit(self, exchange: Exchange) -> None:
        """Start the request, let it wait, requeue it, or refuse it."""
        call = Call(exchange, self)
        if not call.retried or self._is_clear(call):
            self._admit(call, exchange.arrived)

    def _is_clear(self, call: Call) -> bool:
        """Return True if the call may be admitted now. Any other one is refused, or admitted later."""
        if self._suspects is not None:
            return self._suspects.is_clear(call)
        if call.last_try:
            self._refuse(call, tries_used_up())
        return not call.last_try

    def admit_suspect(self, call: Call) -> None:
        if call.cancelled:
            self._over(call)
        else:
            self._admit(call, monotonic())

    def refuse_poison(self, call: Call) -> None:
        self._metrics.poisoned += 1
        request_id = call.request.id.decode("latin-1")
        detail = (
            f"Request {request_id} took down {MOST_DEATHS} workers, so no other worker starts it. "
            "The logs of the API show their last output."
        )
        self._report_poison(request_id)
        self._refuse(call, RequestRefused(POISON, detail, more={"request_id": request_id}))

    def _admit(self, call: Call, now: float) -> None:
        """``now``: monotonic seconds."""
        assert self._scheduler is not None
        # Requests with long bodies cannot be retried, so they still wait here during a drain.
        if self.draining and self._scheduler.blocked and call.movable:
            self._requeue(call)
            self._over(call)
            return
        # The timeout counts from the arrival at the gateway: a retried request may have used it up elsewhere.
        if call.arrived + self._limits.timeout <= now:
            self._refuse_late(call, "It was still waiting for a slot.")
            self._over(call)
            return
        if not self._deadlines.add(call, call.arrived):
            self._hasten_timer()
        elif self._timer is None:
            self._set_timer()
        if not self._scheduler.admit(call):
            self._deadlines.discard(call)
            self._metrics.rejected += 1
            self._refuse(call, queue_full(self.queue.slots, self.queue.waiting))
            self._over(call)
        elif self.queue.waiting:
            self._notify_if_needed()

    def requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> int:
        """Requeue waiting requests, one per millisecond, and return the number of them.

        Other replicas may have free slots for them. During a drain, all are requeued whatever the arguments.
        """
        if self.draining:
            return self._paced_requeue.order(None)
        return self._paced_requeue.order(at_most, first=first, spare=spare)

    def drain(self) -> None:
        """Finish started calls, and requeue waiting ones and those that arrive while no slot is free."""
        self.draining = True
        if self._requests is not None:
            self._requests.withdraw()
        if self._suspects is not None:
            self._suspects.release_all(self._requeue)
        self.requeue()

    def client_gone(self, call: Call) -> None:
        """Remove the call from the queue if it waits there; a started call keeps its slot until it ends."""
        self._metrics.abandoned += 1
        if self.queue.leave(call):
            self._deadlines.discard(call)
        call.cancel()
        if call.retried and call not in self.queue.started:
            self._over(call)

    # For the runners

    def begin(self, call: Call, head: Head) -> None:
        """Begin to answer with a stream, which has no deadline."""
        self._deadlines.discard(call)
        call.exchange.begin(head)

    def answer(self, call: Call, answer: Answer | None) -> None:
        """Send the answer. None means that the client has left or that the answer was a stream."""
        if answer is None:
            return
        try:
            call.exchange.answer(answer)
        except Exception as error:
            self._answer_instead(call, failure(error, call.request.id, "the answer of predict"))

    def _answer_instead(self, call: Call, answer: Answer) -> None:
        """Answer with a failure because the answer cannot be written, or disconnect if a stream has begun."""
        if call.exchange.streaming:
            call.exchange.cut()
        else:
            call.exchange.answer(answer)

    def release(self, call: Call) -> None:
        """Release the call's slot, and start waiting calls."""
        self.queue.finish(call)
        self._depart(call)

    def rescue(self, call: Call, answer: Answer) -> None:
        """Answer a call whose runner has failed, and release its slot if it still has one."""
        self.answer(call, answer)
        if call in self.queue.started:
            self.queue.finish(call)
        self._depart(call)

    def answer_without_slot(self, call: Call, answer: Answer | None) -> None:
        """Answer a call whose slot its thread has passed on."""
        try:
            self.answer(call, answer)
        finally:
            self._depart(call)

    def _depart(self, call: Call) -> None:
        self._deadlines.discard(call)
        if self.overdue:  # almost always empty
            self.overdue.pop(call, None)
        if call.retried:
            self._over(call)
        if self.queue.waiting:
            self.start_more()
        if self.released is not None:
            self.released()

    def _over(self, call: Call) -> None:
        """Handle the end of a call here: another suspect may be admitted."""
        if call.retried and self._suspects is not None:
            self._suspects.over(call)

    def send_batch(self, answers: Mapping[Call, Answer]) -> None:
        """Answer the calls of a batch, which keep their slots."""
        for call, answer in answers.items():
            self.answer(call, answer)

    def answer_batch(self, answers: Mapping[Call, Answer]) -> None:
        """Answer the calls of a batch without slots, as far as they are not answered; start waiting calls."""
        self._metrics.batches += 1
        try:
            self.send_batch(answers)
        finally:
            for call in answers:
                self._deadlines.discard(call)
                self.overdue.pop(call, None)
                self._over(call)
            self.start_more()
        if self.released is not None:
            self.released()

    def start_more(self) -> None:
        """Start waiting calls; slots have become free."""
        if self.queue.waiting:
            self._start_more()
            self._notify_if_needed()

    # Time

    def _hasten_timer(self) -> None:
        """Move the timer forward if a new deadline is before it.

        The timer is never moved back when its call ends: a timer that fires too early finds no call past its
        deadline and is set again.
        """
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
        if not call.exchange.open:  # answered, with post_predict still running, or the client has left
            return
        self._refuse_late(
            call, "It was still waiting for a slot." if waited else "predict() was still running."
        )
        call.cancel()
        if waited:
            self._over(call)

    def _refuse_late(self, call: Call, what: str) -> None:
        self._metrics.timed_out += 1
        detail = f"The request was not answered within {self._limits.timeout:g} s. {what}"
        self._refuse(call, RequestRefused(TIMEOUT, detail))

    def _left(self, call: Call) -> None:
        """Requeue a call that has just left the queue for that."""
        self._deadlines.discard(call)
        self._requeue(call)
        self._over(call)
        if self.released is not None:
            self.released()

    def _requeue(self, call: Call) -> None:
        self._metrics.requeued += 1
        kind = DRAINING if self.draining else NO_REPLICA
        message = "The request was requeued before it was started; send it again."
        self._refuse(call, RequestRefused(kind, message, {REQUEUE_HEADER: "1", **RETRY_AFTER}))

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
