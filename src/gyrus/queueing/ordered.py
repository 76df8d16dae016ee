"""Items in the order of a number; any of them may leave at any time."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

SPARE = 16
"""Entries of items that have left and may stay in the heap, in addition to as many as it has items."""


class Ordered(Generic[T]):
    """A heap that keeps the entry of an item that has left, and drops it when it comes up.

    Entries do not refer to the items, so an item that has left is not kept alive.
    """

    __slots__ = ("_count", "_heap", "_items", "places")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        """Number, and count of earlier items, which keeps equals in the order in which they were added."""
        self._items: dict[int, T] = {}
        self.places: dict[T, tuple[float, int]] = {}
        """Entries by item. The owner may read them directly for speed, but must not change them."""
        self._count = 0

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, item: T) -> bool:
        return item in self.places

    def add(self, item: T, number: float) -> None:
        """Add an item that is not in the heap yet."""
        self._count += 1
        key = (number, self._count)
        self.places[item] = key
        self._items[self._count] = item
        heappush(self._heap, key)

    def discard(self, item: T) -> bool:
        """Remove the item. Returns False if it was not there."""
        key = self.places.pop(item, None)
        if key is None:
            return False
        del self._items[key[1]]
        # Rebuilt when more than half is stale, which keeps a removal at constant cost on average.
        if len(self._heap) > 2 * len(self.places) + SPARE:
            self._heap = list(self.places.values())
            heapify(self._heap)
        return True

    def first(self) -> tuple[float, T] | None:
        """Return the least number and its item. Returns None if the heap is empty."""
        heap, items = self._heap, self._items
        while heap:
            number, count = heap[0]
            if count in items:
                return number, items[count]
            heappop(heap)
        return None

    def pop(self) -> T:
        """Remove and return the first item. Raises IndexError if there is none."""
        while True:
            item = self._items.pop(heappop(self._heap)[1], None)
            if item is not None:
                del self.places[item]
                return item

    def in_order(self) -> list[tuple[float, T]]:
        """Return all items with their numbers."""
        return [(number, self._items[count]) for number, count in sorted(self.places.values())]

    def numbers(self, at_most: int) -> list[float]:
        """Return the least numbers, in order."""
        return [number for number, _ in sorted(self.places.values())[:at_most]]

    def first_items(self, at_most: int) -> list[T]:
        """Return the items with the least numbers, in order."""
        return [self._items[count] for _, count in sorted(self.places.values())[:at_most]]
