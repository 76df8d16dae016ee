"""Slots, and the bounded queue before them. Bookkeeping alone: no time, no threads, no I/O."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

from gyrus.queueing.spread import spread

T = TypeVar("T", bound=Hashable)

_Place = tuple[float, int, bool]
"""When the request first arrived, how many came before it, and whether it may be given back."""


class Line(Generic[T]):
    """Where each request stands: it waits, or has a slot, or is gone.

    - Waiting requests are started in the order of their arrival, which need not be that of their coming: one
      that was given back elsewhere takes the place that it had.
    - There are never more with a slot than there are slots.
    - A request beyond the free slots and the queue's length is not let in.
    """

    __slots__ = ("_came", "_longest", "_order", "_places", "_started", "_unmovable", "slots")

    def __init__(self, slots: int | None, longest: int) -> None:
        """``slots`` None: no limit, so that nobody has to wait. ``longest``: of the queue."""
        self.slots = slots
        self._longest = longest
        self._places: dict[T, _Place] = {}
        self._order: list[tuple[float, int, T]] = []
        """A heap; entries of those who wait no longer are left out when they come up."""
        self._started: set[T] = set()
        self._came = 0
        self._unmovable = 0

    @property
    def waiting(self) -> int:
        return len(self._places)

    @property
    def movable(self) -> int:
        """Of those that wait, the ones that may be given back."""
        return len(self._places) - self._unmovable

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
        self._skip_gone()
        return self._order[0][2] if self._order else None

    @property
    def empty(self) -> bool:
        return not self._places and not self._started

    def is_waiting(self, item: T) -> bool:
        return item in self._places

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
        self._came += 1
        self._places[item] = (arrived, self._came, movable)
        heappush(self._order, (arrived, self._came, item))
        if not movable:
            self._unmovable += 1
        return True

    def start_next(self, at_most: int = 1) -> list[T]:
        """Give slots to those who arrived first, as far as slots are free."""
        free = self.free
        number = min(at_most, len(self._places), at_most if free is None else free)
        items = [self._pop() for _ in range(number)]
        self._started.update(items)
        return items

    def finish(self, item: T) -> None:
        """Its slot is free again. Raises KeyError where it has none."""
        self._started.remove(item)

    def leave(self, item: T) -> bool:
        """It waits no longer. False: it did not."""
        place = self._places.pop(item, None)
        if place is None:
            return False
        if not place[2]:
            self._unmovable -= 1
        if len(self._order) > 2 * len(self._places) + 16:
            self._order = [entry for entry in self._order if self._is_there(entry)]
            self._order.sort()
        return True

    def to_give_back(self, at_most: int | None = None) -> list[T]:
        """Those who should go elsewhere, oldest first. They wait on until they :meth:`leave`.

        They are spread over the queue, so that those who stay and those who go are both in order, and nobody
        is overtaken by much.
        """
        movable = sorted((arrived, came, item) for item, (arrived, came, may) in self._places.items() if may)
        number = len(movable) if at_most is None else max(0, min(at_most, len(movable)))
        return [movable[position][2] for position in spread(len(movable), number)]

    def _pop(self) -> T:
        self._skip_gone()
        item = heappop(self._order)[2]
        if not self._places.pop(item)[2]:
            self._unmovable -= 1
        return item

    def _skip_gone(self) -> None:
        while self._order and not self._is_there(self._order[0]):
            heappop(self._order)

    def _is_there(self, entry: tuple[float, int, T]) -> bool:
        place = self._places.get(entry[2])
        return place is not None and place[1] == entry[1]
