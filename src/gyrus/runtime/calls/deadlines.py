"""Deadlines that all have the same distance: whoever came first is due first, so one timer is enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """Pure; times are monotonic seconds."""

    def __init__(self, distance: float) -> None:
        self.distance = distance
        self._due: OrderedDict[T, float] = OrderedDict()

    def add(self, item: T, now: float) -> None:
        self._due[item] = now + self.distance

    def discard(self, item: T) -> None:
        self._due.pop(item, None)

    @property
    def next(self) -> float | None:
        return next(iter(self._due.values())) if self._due else None

    def take_due(self, now: float) -> list[T]:
        """Those whose time is over; they are forgotten here."""
        due: list[T] = []
        while self._due:
            item, when = next(iter(self._due.items()))
            if when > now:
                break
            del self._due[item]
            due.append(item)
        return due

    def __len__(self) -> int:
        return len(self._due)
