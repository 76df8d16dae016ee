"""Deadlines that all have the same distance: whoever arrived first is due first, so one timer is enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from gyrus.queueing.ordered import Ordered

T = TypeVar("T", bound=Hashable)

SLACK = 0.05
"""Seconds by which a deadline may be late, so that those who arrived almost together stay in their order."""


class Deadlines(Generic[T]):
    """Pure; times are monotonic seconds.

    Most are added in the order of their arrival. Those that were not (they have waited elsewhere before) are
    few, and kept apart.
    """

    def __init__(self, distance: float) -> None:
        self.distance = distance
        self._due: OrderedDict[T, float] = OrderedDict()
        self._early: Ordered[T] = Ordered()
        self._latest = 0.0

    def add(self, item: T, arrived: float) -> bool:
        """False: others that were added before may be due after it."""
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
        """Those whose time is over; they are forgotten here."""
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
