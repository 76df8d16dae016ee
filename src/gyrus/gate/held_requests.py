"""The requests that wait for a replica, by API and in order of arrival. Bookkeeping: no time, no I/O."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

_Place = tuple[float, int]
"""The request's arrival at the gateway, and the number of requests that were held before it."""


class HeldRequests(Generic[T]):
    """The held requests of all APIs. An API without held requests takes no memory."""

    def __init__(self) -> None:
        self._order: dict[str, list[_Place]] = {}
        self._items: dict[str, dict[_Place, T]] = {}
        self._places: dict[T, tuple[str, _Place]] = {}
        self._came = 0

    def __len__(self) -> int:
        return len(self._places)

    def count(self, api: str) -> int:
        return len(self._order.get(api, ()))

    def apis(self) -> tuple[str, ...]:
        return tuple(self._order)

    def of(self, api: str) -> tuple[T, ...]:
        """Return the API's requests in order of arrival."""
        items = self._items.get(api, {})
        return tuple(items[place] for place in self._order.get(api, ()))

    def first(self, api: str) -> T | None:
        """Return the waiting request that arrived first."""
        order = self._order.get(api)
        return self._items[api][order[0]] if order else None

    def enter(self, api: str, item: T, arrived: float) -> None:
        """Add a request at the place of its arrival at the gateway.

        A request that was requeued elsewhere is older than its arrival here.
        """
        # The count orders requests of equal arrival times, and makes every place unique.
        self._came += 1
        place = (arrived, self._came)
        self._places[item] = (api, place)
        insort(self._order.setdefault(api, []), place)
        self._items.setdefault(api, {})[place] = item

    def leave(self, item: T) -> bool:
        """Remove the request. Returns False if it was not waiting."""
        if (found := self._places.pop(item, None)) is None:
            return False
        api, place = found
        order = self._order[api]
        del order[bisect_left(order, place)]
        del self._items[api][place]
        if not order:
            del self._order[api], self._items[api]
        return True
