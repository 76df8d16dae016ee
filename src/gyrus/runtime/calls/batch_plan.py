"""The plan of the next batch: whether it starts now, later, or not before another one ends. Pure."""

from __future__ import annotations

from math import inf

from gyrus.runtime.calls.batch_waits import BatchRun, Wait


class BatchPlan:
    """The batches that run, and the rule by which the next one starts.

    Times are monotonic seconds. The order of the calls is the queue's; the plan counts them only.
    """

    def __init__(self, size: int, wait: Wait, parallel: int | None = 1) -> None:
        """``parallel``: the most batches that run at the same time. None means no limit."""
        self.size = size
        self.parallel = parallel
        self._wait = wait
        self._running: list[BatchRun] = []
        self._startable_since = -inf
        """The time since which another batch may run."""

    @property
    def blocked(self) -> bool:
        """True if no batch can start before another one ends."""
        return self.parallel is not None and len(self._running) >= self.parallel

    def arrived(self, now: float) -> None:
        self._wait.arrived(now)

    def is_full(self, waiting: int, free: int | None) -> bool:
        return waiting >= (self.size if free is None else min(self.size, free))

    def patience(self, now: float, waiting: int, free: int | None, first: float) -> float:
        """Return the seconds that the next batch may still grow; infinity if it cannot start.

        ``free``: slots for further calls; None means no limit. ``first``: arrival of the first waiting call.
        """
        if not waiting or free == 0 or self.blocked:
            return inf
        if self.is_full(waiting, free):
            return 0.0
        due = self._wait.due(waiting, first, beside=bool(self._running))
        return max(0.0, min(due, max(first, self._startable_since) + self._wait.bound) - now)

    def follows(self, waiting: int, free: int | None) -> bool:
        """Return True if the next batch should start at once in the thread of one that has just ended."""
        if not waiting or free == 0 or self.blocked:
            return False
        return self.is_full(waiting, free) or self._wait.suffices(waiting)

    def started(self, now: float, calls: int) -> BatchRun:
        self._wait.started(now)
        run = BatchRun(now, calls, beside=bool(self._running))
        self._running.append(run)
        return run

    def ended(self, now: float, run: BatchRun, waiting: int, *, measured: bool = True) -> None:
        """Note the end of a batch. ``measured``: its time is typical of its size."""
        if self.blocked:
            self._startable_since = now
        self._running.remove(run)
        for other in self._running:
            shared = now - max(run.started, other.started)
            run.overlap += shared
            other.overlap += shared
        self._wait.ended(now, run, waiting, self._running, measured=measured)
