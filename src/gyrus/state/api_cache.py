"""The records of all APIs, kept in memory: only records that may have changed are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gyrus.aio.clock import Clock
from gyrus.state.records import Api
from gyrus.state.store import Store

RELIST = 30.0
"""Seconds after which every record is read again, in case a change was never reported."""

MANY = 50
"""Changed records from which reading all of them at once is cheaper than one by one."""


@dataclass(slots=True)
class ApiCache:
    """Every API's record as last read. The owner reports changes, and calls :meth:`refresh` to read them."""

    store: Store
    clock: Clock
    _records: dict[str, Api] = field(default_factory=dict[str, Api])
    _stale: set[str] = field(default_factory=set[str])
    _listed_at: float | None = None
    """Monotonic time of the last listing. None until the first one."""

    def get(self, name: str) -> Api | None:
        return self._records.get(name)

    def put(self, api: Api) -> None:
        """Keep a record that was just written."""
        self._records[api.name] = api

    def invalidate(self, names: Iterable[str]) -> None:
        """Read these records again at the next refresh."""
        self._stale.update(names)

    def expire(self) -> None:
        """Read every record again at the next refresh."""
        self._listed_at = None

    async def refresh(self) -> Mapping[str, Api]:
        """Read the records that may have changed.

        Returns all records by name. The mapping is not a copy: later calls change it.
        """
        stale, self._stale = self._stale, set()
        try:
            if self._is_due or len(stale) >= MANY:
                await self._list()
            else:
                await self._read(stale)
        except BaseException:
            self._stale |= stale  # these changes are not read yet: the next refresh must read them
            raise
        return self._records

    @property
    def _is_due(self) -> bool:
        return self._listed_at is None or self.clock.monotonic() - self._listed_at >= RELIST

    async def _list(self) -> None:
        self._records = {api.name: api for api in await self.store.apis()}
        self._listed_at = self.clock.monotonic()

    async def _read(self, names: Iterable[str]) -> None:
        for name in names:
            api = await self.store.api(name)
            if api is None:
                self._records.pop(name, None)
            else:
                self._records[name] = api
