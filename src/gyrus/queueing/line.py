"""Slots, and the bounded queue before them. Bookkeeping alone: no time, no threads, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Line(Generic[T]):
    """Where each request stands: it waits, or has a slot, or is gone.

    - Waiting requests are started in the order of their arrival, and given back in the reverse.
    - There are never more with a slot than there are slots.
    - A request beyond the free slots and the queue's length is not let in.
    """

    def __init__(self, slots: int | None, longest: int) -> None:
        """``slots`` None: no limit, so that nobody has to wait. ``longest``: of the queue."""
        self.slots = slots
        self._longest = longest
        self._waiting: OrderedDict[T, None] = OrderedDict()
        self._started: set[T] = set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def started(self) -> frozenset[T]:
        return frozenset(self._started)

    @property
    def busy(self) -> int:
        """Slots that are taken."""
        return len(self._started)

    @property
    def free(self) -> int | None:
        """Slots that nobody has; None: no limit."""
        return None if self.slots is None else self.slots - len(self._started)

    @property
    def first(self) -> T | None:
        """Who has waited longest."""
        return next(iter(self._waiting), None)

    @property
    def empty(self) -> bool:
        return not self._waiting and not self._started

    def is_waiting(self, item: T) -> bool:
        return item in self._waiting

    def start_at_once(self, item: T) -> bool:
        """Give it a slot, unless others wait or none is free."""
        if self._waiting or (self.slots is not None and len(self._started) >= self.slots):
            return False
        self._started.add(item)
        return True

    def wait(self, item: T) -> bool:
        """Let it wait as the last. False: there is no room."""
        taken = len(self._waiting) + len(self._started)
        if self.slots is not None and taken >= self.slots + self._longest:
            return False
        self._waiting[item] = None
        return True

    def start_next(self, at_most: int = 1) -> list[T]:
        """Give slots to those who have waited longest, as far as slots are free."""
        free = self.free
        number = min(at_most, len(self._waiting), at_most if free is None else free)
        items = [self._waiting.popitem(last=False)[0] for _ in range(number)]
        self._started.update(items)
        return items

    def finish(self, item: T) -> None:
        """Its slot is free again. Raises KeyError where it has none."""
        self._started.remove(item)

    def leave(self, item: T) -> bool:
        """It waits no longer. False: it did not."""
        if item not in self._waiting:
            return False
        del self._waiting[item]
        return True

    def give_back(self, at_most: int | None = None) -> list[T]:
        """Those who came last leave; youngest first."""
        number = len(self._waiting) if at_most is None else max(0, min(at_most, len(self._waiting)))
        return [self._waiting.popitem()[0] for _ in range(number)]
