"""Deadlines: one timer for any number of requests that all have the same timeout."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from gyrus.simulator.event_queue import EventQueue


class SimulatedDeadlines:
    """Calls ``passed`` for each added request, ``after`` seconds from its arrival.

    Requests are never removed: ``passed`` is also called for those that were answered long before.
    """

    __slots__ = ("_after", "_armed", "_arrivals", "_event_queue", "_passed", "_requests")

    def __init__(
        self,
        event_queue: EventQueue,
        arrivals: Sequence[float],
        after: float,
        passed: Callable[[float, int], None],
    ) -> None:
        self._event_queue = event_queue
        self._arrivals = arrivals
        self._after = after
        self._passed = passed
        self._requests: deque[int] = deque()
        self._armed = False

    def add(self, request: int) -> None:
        """Add a request, nearly in the order of arrival: one that is added too late is called late."""
        self._requests.append(request)
        if not self._armed:
            self._armed = True
            self._event_queue.enter(self._arrivals[request] + self._after, self._look)

    def _look(self, now: float) -> None:
        while self._requests:
            due = self._arrivals[self._requests[0]] + self._after
            if due > now:
                self._event_queue.enter(due, self._look)
                return
            self._passed(now, self._requests.popleft())
        self._armed = False
