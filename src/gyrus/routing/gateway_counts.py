"""Answered requests of several gateways, read from the statistics of each, and summed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from gyrus.routing.admin import Admin
from gyrus.routing.envoy_traffic import EnvoyTraffic
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.traffic import Answered, summed

log = logging.getLogger(__name__)

ByCluster = Mapping[str, Answered]


async def read_from(address: str) -> ByCluster:
    """Read one gateway's counts since its start. ``address``: host and port. Raises TrafficUnknown."""
    return await EnvoyTraffic(Admin(address)).answered()


class GatewayCounts:
    """The counts of all gateways. They do not fall when a gateway ends or starts again."""

    def __init__(self) -> None:
        self._addresses: Mapping[str, str] = {}
        self._last: dict[str, ByCluster] = {}
        """By gateway: the counts that it had when it was last read."""
        self._ended: ByCluster = {}
        """The counts of gateways that have ended."""

    def exist(self, addresses: Mapping[str, str]) -> None:
        """Take the addresses of the gateways that exist, by name."""
        for gone in self._last.keys() - addresses.keys():
            self._keep(self._last.pop(gone))
        self._addresses = addresses

    async def read(self) -> ByCluster:
        """Read all gateways at once, and return the sums by cluster.

        One that does not answer counts with what it had before. Raises TrafficUnknown if none has answered.
        """
        addresses = dict(self._addresses)
        async with asyncio.TaskGroup() as group:
            for name, address in addresses.items():
                group.create_task(self._read(name, address), name=f"counts of {name}")
        if not self._last:
            raise TrafficUnknown("No gateway has reported its counts yet.")
        return _sums((*self._last.values(), self._ended))

    def keep_only(self, clusters: frozenset[str]) -> None:
        """Forget what ended gateways counted for other clusters."""
        self._ended = {name: answered for name, answered in self._ended.items() if name in clusters}

    async def _read(self, name: str, address: str) -> None:
        try:
            counts = await read_from(address)
        except TrafficUnknown as error:
            log.debug("the counts of the gateway %s cannot be read: %s", name, error)
            return
        if name not in self._addresses:  # it has ended meanwhile, and its last counts are kept already
            return
        before = self._last.get(name)
        if before and has_started_again(before, counts):
            self._keep(before)
        self._last[name] = counts

    def _keep(self, counts: ByCluster) -> None:
        self._ended = _sums((self._ended, counts))


def has_started_again(before: ByCluster, now: ByCluster) -> bool:
    """Return True if a count has fallen: an Envoy that starts again counts from zero. Pure."""
    return any(
        _requests(now[cluster]) < _requests(answered)
        for cluster, answered in before.items()
        if cluster in now
    )


def _requests(answered: Answered) -> int:
    return sum(answered.by_code.values())


def _sums(parts: Iterable[ByCluster]) -> ByCluster:
    by_cluster: dict[str, list[Answered]] = {}
    for part in parts:
        for cluster, answered in part.items():
            by_cluster.setdefault(cluster, []).append(answered)
    return {cluster: summed(answered) for cluster, answered in by_cluster.items()}
