"""Virtual time: future events in their order."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Act = Callable[..., None]
"""A callback, called with the time at which it is due and with its arguments."""


class EventQueue:
    """Events in the order of their times; events of the same time in the order in which they were entered."""

    __slots__ = ("_entered", "_events")

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Act, tuple[Any, ...]]] = []
        self._entered = 0

    @property
    def due(self) -> float:
        """Time of the next event; infinity if there is none."""
        return self._events[0][0] if self._events else float("inf")

    def enter(self, when: float, act: Act, *given: Any) -> None:
        self._entered += 1
        heappush(self._events, (when, self._entered, act, given))

    def happen(self) -> None:
        """Run the next event."""
        when, _, act, given = heappop(self._events)
        act(when, *given)
