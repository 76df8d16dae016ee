"""Deadlines at one fixed distance from arrival: the first arrival is due first, so one timer is enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from gyrus.queueing.ordered import Ordered

T = TypeVar("T", bound=Hashable)

SLACK = 0.05
"""Seconds by which a deadline may be late, so that requests that arrive almost together stay in order."""


class Deadlines(Generic[T]):
    """Deadlines of items. Pure; times are monotonic seconds.

    Most items are added in the order of their arrival. The few others, which have waited on another replica
    before, are kept apart in a heap.
    """

    def __init__(self, distance: float) -> None:
        self.distance = distance
        self._due: OrderedDict[T, float] = OrderedDict()
        self._early: Ordered[T] = Ordered()
        self._latest = 0.0

    def add(self, item: T, arrived: float) -> bool:
        """Add an item. Returns False if items that were added before may be due after it."""
        due = arrived + self.distance
        if due < self._latest - SLACK:
            self._early.add(item, due)
            return False
        if due > self._latest:
            self._latest = due
        self._due[item] = self._latest
        return True

    def discard(self, item: T) -> None:
        if self._due.pop(item, None) is None and self._early:
            self._early.discard(item)

    @property
    def next(self) -> float | None:
        due = next(iter(self._due.values())) if self._due else None
        early = self._early.first()
        if early is None:
            return due
        return early[0] if due is None else min(due, early[0])

    def take_due(self, now: float) -> list[T]:
        """Remove and return the items whose deadline has passed."""
        due: list[T] = []
        while (early := self._early.first()) and early[0] <= now:
            due.append(self._early.pop())
        while self._due:
            item, when = next(iter(self._due.items()))
            if when > now:
                break
            del self._due[item]
            due.append(item)
        return due

    def __len__(self) -> int:
        return len(self._due) + len(self._early)
