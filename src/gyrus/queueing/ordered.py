"""Items by the order of a number, any of which may leave at any time."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

SPARE = 16
"""Entries of those who have left that may stay in the heap, besides as many as are there."""


class Ordered(Generic[T]):
    """A heap whose entries are left in it when their items leave, and dropped when they come up. They do not
    refer to the items, so that nothing is kept alive for longer than it is here.
    """

    __slots__ = ("_count", "_heap", "_items", "places")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        """Number, and how many came before: equals stay in the order of their coming."""
        self._items: dict[int, T] = {}
        self.places: dict[T, tuple[float, int]] = {}
        """For quick looks by its owner, who changes nothing in it."""
        self._count = 0

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, item: T) -> bool:
        return item in self.places

    def add(self, item: T, number: float) -> None:
        """It must not be there yet."""
        self._count += 1
        key = (number, self._count)
        self.places[item] = key
        self._items[self._count] = item
        heappush(self._heap, key)

    def discard(self, item: T) -> bool:
        """False: it was not there."""
        key = self.places.pop(item, None)
        if key is None:
            return False
        del self._items[key[1]]
        if len(self._heap) > 2 * len(self.places) + SPARE:
            self._heap = list(self.places.values())
            heapify(self._heap)
        return True

    def first(self) -> tuple[float, T] | None:
        """The least number, and whose it is."""
        heap, items = self._heap, self._items
        while heap:
            number, count = heap[0]
            if count in items:
                return number, items[count]
            heappop(heap)
        return None

    def pop(self) -> T:
        """The first. Raises IndexError where there is none."""
        while True:
            item = self._items.pop(heappop(self._heap)[1], None)
            if item is not None:
                del self.places[item]
                return item

    def in_order(self) -> list[tuple[float, T]]:
        """All, with their numbers."""
        return [(number, self._items[count]) for number, count in sorted(self.places.values())]

    def numbers(self, at_most: int) -> list[float]:
        """The least ones, in order."""
        return [number for number, _ in sorted(self.places.values())[:at_most]]
