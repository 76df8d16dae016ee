"""Replicas by id and by API. The cost of reading one API does not depend on the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class ReplicaIndex(Generic[T]):
    """A dictionary of replicas by id that also lists the ids of each API."""

    def __init__(self) -> None:
        self._by_id: dict[str, T] = {}
        self._by_api: dict[str, dict[str, T]] = {}
        self._api_of: dict[str, str] = {}

    def add(self, api: str, id: str, replica: T) -> None:
        self._by_id[id] = replica
        self._api_of[id] = api
        self._by_api.setdefault(api, {})[id] = replica

    def remove(self, id: str) -> None:
        """Remove a replica. Raises KeyError."""
        del self._by_id[id]
        api = self._api_of.pop(id)
        own = self._by_api[api]
        del own[id]
        if not own:
            del self._by_api[api]

    def get(self, id: str) -> T | None:
        return self._by_id.get(id)

    def of(self, api: str) -> Mapping[str, T]:
        """Return the API's replicas by id, in the order in which they were added."""
        return self._by_api.get(api, {})

    @property
    def apis(self) -> Collection[str]:
        return self._by_api.keys()

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def __getitem__(self, id: str) -> T:
        return self._by_id[id]

    def __iter__(self) -> Iterator[T]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)
