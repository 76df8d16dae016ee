"""The part of the traffic that load reports miss: requests that wait for a connection, and answers by code.

Each gateway is asked for its statistics, and those of all gateways are summed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from gyrus.aio.clock import Clock
from gyrus.aio.ticks import ticks
from gyrus.routing.admin import Admin
from gyrus.routing.envoy_traffic import EnvoyTraffic
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.traffic import Answered, summed

log = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two readings of the requests that wait. As often, gateways report those in progress."""
ANSWERED_EVERY = 4
"""Readings of the requests that wait for each reading of counts and latencies."""
ByCluster = Mapping[str, Answered]


class GatewayStatistics:
    """The statistics of all gateways. The counts do not fall when a gateway ends or starts again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses: Mapping[str, str] = {}
        self._reading: set[str] = set()
        """The gateways that are being read."""
        self._waiting: dict[str, Mapping[str, int]] = {}
        """By gateway: the requests that waited for a connection when it was last read, by cluster."""
        self._last: dict[str, ByCluster] = {}
        """By gateway: the counts that it had when it was last read."""
        self._ended: ByCluster = {}
        """The counts of gateways that have ended."""

    def exist(self, addresses: Mapping[str, str]) -> None:
        """Take the addresses of the gateways that exist, by name."""
        for gone in self._last.keys() - addresses.keys():
            self._keep(self._last.pop(gone))
        for gone in self._waiting.keys() - addresses.keys():
            self.given_up(gone)
        self._addresses = addresses

    def given_up(self, name: str) -> None:
        """Forget the requests that waited at a gateway, until it is read again."""
        self._waiting.pop(name, None)

    async def run(self) -> None:
        """Read the gateways until cancelled. One that does not answer delays none of the others."""
        readings = 0
        async with asyncio.TaskGroup() as group:
            async for _ in ticks(self._clock, EVERY):
                for name in self._addresses.keys() - self._reading:
                    self._reading.add(name)
                    reading = self._read(name, with_answered=readings % ANSWERED_EVERY == 0)
                    group.create_task(reading, name=f"statistics of {name}")
                readings += 1

    def waiting(self) -> Mapping[str, int]:
        """Return the requests that wait for a connection, by cluster, as they were last read."""
        total: Counter[str] = Counter()
        for each in self._waiting.values():
            total.update(each)
        return total

    def answered(self) -> ByCluster:
        """Return the sums by cluster, as they were last read. Raises TrafficUnknown if nothing was read."""
        if not self._last:
            raise TrafficUnknown("No gateway has reported its counts yet.")
        return _sums((*self._last.values(), self._ended))

    def keep_only(self, clusters: frozenset[str]) -> None:
        """Forget what ended gateways counted for other clusters."""
        self._ended = {name: answered for name, answered in self._ended.items() if name in clusters}

    async def _read(self, name: str, *, with_answered: bool) -> None:
        envoy = EnvoyTraffic(Admin(self._addresses[name]))
        try:
            waiting = await envoy.waiting()
            counts = await envoy.answered() if with_answered or name not in self._last else None
        except TrafficUnknown as error:
            log.debug("the statistics of the gateway %s cannot be read: %s", name, error)
            return
        finally:
            self._reading.discard(name)
        if name not in self._addresses:  # it has ended meanwhile, and its last counts are kept already
            return
        self._waiting[name] = waiting
        if counts is not None:
            self._take(name, counts)

    def _take(self, name: str, counts: ByCluster) -> None:
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
