"""What is to happen when: virtual time."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Act = Callable[..., None]
"""Called with the time at which it is due, and with what was given."""


class EventQueue:
    """Events in the order of their time; those of the same time in the order in which they were entered."""

    __slots__ = ("_entered", "_events")

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Act, tuple[Any, ...]]] = []
        self._entered = 0

    @property
    def due(self) -> float:
        """When the next event happens; infinity where there is none."""
        return self._events[0][0] if self._events else float("inf")

    def enter(self, when: float, act: Act, *given: Any) -> None:
        self._entered += 1
        heappush(self._events, (when, self._entered, act, given))

    def happen(self) -> None:
        """The next event."""
        when, _, act, given = heappop(self._events)
        act(when, *given)
