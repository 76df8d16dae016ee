"""Slots, and the bounded queue before them. Bookkeeping alone: no time, no threads, no I/O."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import Generic, TypeVar

from gyrus.queueing.ordered import Ordered

T = TypeVar("T", bound=Hashable)


class SlotQueue(Generic[T]):
    """Where each request stands: it waits, or has a slot, or is gone.

    - Waiting requests are started in the order of their arrival, which need not be that of their coming: one
      that was given back elsewhere takes the place that it had.
    - There are never more with a slot than there are slots.
    - A request beyond the free slots and the queue's length is not let in.
    """

    __slots__ = ("_longest", "_places", "_started", "_unmovable", "_waiting", "slots")

    def __init__(self, slots: int | None, longest: int) -> None:
        """``slots`` None: no limit, so that nobody has to wait. ``longest``: of the queue."""
        self.slots = slots
        self._longest = longest
        self._waiting: Ordered[T] = Ordered()
        self._places = self._waiting.places
        self._unmovable: set[T] = set()
        """Of those that wait."""
        self._started: set[T] = set()

    @property
    def waiting(self) -> int:
        return len(self._places)

    @property
    def movable(self) -> int:
        """Of those that wait, the ones that may be given back."""
        return len(self._places) - len(self._unmovable)

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
        """Who arrived first of those who wait."""
        first = self._waiting.first()
        return first[1] if first else None

    @property
    def empty(self) -> bool:
        return not self._places and not self._started

    def is_waiting(self, item: T) -> bool:
        return item in self._waiting

    def start_at_once(self, item: T) -> bool:
        """Give it a slot, unless others wait or none is free."""
        if self._places or (self.slots is not None and len(self._started) >= self.slots):
            return False
        self._started.add(item)
        return True

    def wait(self, item: T, arrived: float, *, movable: bool = True) -> bool:
        """Let it wait. False: there is no room.

        ``arrived``: when it first arrived anywhere, in seconds on one clock for all of the line.
        """
        taken = len(self._places) + len(self._started)
        if self.slots is not None and taken >= self.slots + self._longest:
            return False
        self._waiting.add(item, arrived)
        if not movable:
            self._unmovable.add(item)
        return True

    def start_next(self, at_most: int = 1) -> list[T]:
        """Give slots to those who arrived first, as far as slots are free."""
        free = self.free
        number = min(at_most, len(self._places), at_most if free is None else free)
        items = [self._waiting.pop() for _ in range(number)]
        self._unmovable.difference_update(items)
        self._started.update(items)
        return items

    def finish(self, item: T) -> None:
        """Its slot is free again. Raises KeyError where it has none."""
        self._started.remove(item)

    def leave(self, item: T) -> bool:
        """It waits no longer. False: it did not."""
        self._unmovable.discard(item)
        return self._waiting.discard(item)

    @property
    def places(self) -> int:
        """How many more may come; where nobody has to wait, more than ever will."""
        if self.slots is None:
            return sys.maxsize
        return max(0, self.slots + self._longest - len(self._started) - len(self._waiting))

    def oldest(self, at_most: int) -> list[float]:
        """When those arrived who may be given back, first ones first."""
        if not self._unmovable:
            return self._waiting.numbers(at_most)
        items = self._waiting.in_order()
        return [number for number, item in items if item not in self._unmovable][:at_most]

    def to_requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> list[T]:
        """Those who should go elsewhere: who arrived first, first. They wait on until they :meth:`leave`.

        After the ``first`` of them, ``spare`` are passed over, and stay.
        """
        movable = [item for _, item in self._waiting.in_order() if item not in self._unmovable]
        going = movable[:first] + movable[first + spare :]
        return going if at_most is None else going[: max(0, at_most)]
