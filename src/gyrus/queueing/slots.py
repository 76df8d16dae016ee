"""Slots and the bounded queue in front of them. Bookkeeping only: no time, no threads, no I/O."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from gyrus.queueing.ordered import Ordered

T = TypeVar("T", bound=Hashable)
Item = TypeVar("Item", contravariant=True)


class StartObserver(Protocol[Item]):
    """An observer of items that get a slot and give it up."""

    def started(self, item: Item) -> None: ...
    def ended(self, item: Item) -> None: ...


class SlotQueue(Generic[T]):
    """The state of each request: it waits, has a slot, or has left.

    - Waiting requests start in the order of their first arrival anywhere. A request that another process
      requeued keeps its place in that order.
    - There are never more started requests than slots.
    - A request beyond the free slots and the queue's length is refused.
    """

    __slots__ = ("_longest", "_observer", "_places", "_started", "_unmovable", "_waiting", "begun", "slots")

    def __init__(self, slots: int | None, longest: int, observer: StartObserver[T] | None = None) -> None:
        """Limit started requests to ``slots`` (None: no limit, none waits), waiting ones to ``longest``."""
        self.slots = slots
        self._longest = longest
        self._observer = observer
        self._waiting: Ordered[T] = Ordered()
        self._places = self._waiting.places
        self._unmovable: set[T] = set()
        """Waiting requests that must not be requeued."""
        self._started: set[T] = set()
        self.begun = 0
        """Number of items that have got a slot so far."""

    @property
    def waiting(self) -> int:
        return len(self._places)

    @property
    def movable(self) -> int:
        """Number of waiting requests that may be requeued."""
        return len(self._places) - len(self._unmovable)

    @property
    def started(self) -> frozenset[T]:
        return frozenset(self._started)

    @property
    def busy(self) -> int:
        """Number of slots that are taken."""
        return len(self._started)

    @property
    def free(self) -> int | None:
        """Number of free slots; None means no limit."""
        return None if self.slots is None else self.slots - len(self._started)

    @property
    def first(self) -> T | None:
        """The waiting request that arrived first; None if none waits."""
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
        self.begun += 1
        if self._observer is not None:
            self._observer.started(item)
        return True

    def wait(self, item: T, arrived: float, *, movable: bool = True) -> bool:
        """Add the item to the queue. Returns False if the queue is full.

        ``arrived``: the time of its first arrival anywhere, in seconds on one clock for the whole queue.
        """
        taken = len(self._places) + len(self._started)
        if self.slots is not None and taken >= self.slots + self._longest:
            return False
        self._waiting.add(item, arrived)
        if not movable:
            self._unmovable.add(item)
        return True

    def start_next(self, at_most: int = 1) -> list[T]:
        """Give slots to the items that arrived first, as far as slots are free, and return the items."""
        free = self.free
        number = min(at_most, len(self._places), at_most if free is None else free)
        items = [self._waiting.pop() for _ in range(number)]
        self._unmovable.difference_update(items)
        self._started.update(items)
        self.begun += number
        if self._observer is not None:
            for item in items:
                self._observer.started(item)
        return items

    def next(self, at_most: int) -> list[T]:
        """Return the waiting items that arrived first, in order. They stay in the queue."""
        return self._waiting.first_items(at_most)

    def finish(self, item: T) -> None:
        """Free the item's slot. Raises KeyError if it has none."""
        self._started.remove(item)
        if self._observer is not None:
            self._observer.ended(item)

    def pass_on(self, item: T) -> T | None:
        """Free the item's slot, and give it to the waiting item that arrived first.

        Returns None if no item waits. Raises KeyError if the item has no slot.
        """
        self._started.remove(item)
        if self._observer is not None:
            self._observer.ended(item)
        if not self._places:
            return None
        following = self._waiting.pop()
        self._unmovable.discard(following)
        self._started.add(following)
        self.begun += 1
        if self._observer is not None:
            self._observer.started(following)
        return following

    def leave(self, item: T) -> bool:
        """Remove the item from the queue. Returns False if it was not waiting."""
        self._unmovable.discard(item)
        return self._waiting.discard(item)

    @property
    def places(self) -> int:
        """Number of requests that can still be admitted; practically unlimited if slots are not limited."""
        if self.slots is None:
            return sys.maxsize
        return max(0, self.slots + self._longest - len(self._started) - len(self._waiting))

    def oldest(self, at_most: int) -> list[float]:
        """Return the arrival times of the requests that may be requeued, oldest first."""
        if not self._unmovable:
            return self._waiting.numbers(at_most)
        items = self._waiting.in_order()
        return [number for number, item in items if item not in self._unmovable][:at_most]

    def to_requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> list[T]:
        """Return the requests to requeue, oldest first. They stay in the queue until they :meth:`leave`.

        After the ``first`` oldest, the next ``spare`` are skipped and stay.
        """
        movable = [item for _, item in self._waiting.in_order() if item not in self._unmovable]
        going = movable[:first] + movable[first + spare :]
        return going if at_most is None else going[: max(0, at_most)]
