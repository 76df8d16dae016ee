"""The part of the traffic that load reports miss: requests that wait for a connection, and answers by code.

Each gateway is asked for its statistics, and those of all gateways are summed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gyrus.aio.clock import Clock
from gyrus.aio.ticks import ticks
from gyrus.routing.admin import Admin
from gyrus.routing.envoy_traffic import EnvoyTraffic
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.traffic import Answered, summed

log = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two readings of the requests that wait. As often, gateways report those in progress."""
ANSWERED_EVERY = 2.0
"""Seconds between two readings of counts and latencies."""
ByCluster = Mapping[str, Answered]


@dataclass(slots=True, eq=False)
class _Gateway:
    """The latest readings of one gateway."""

    name: str
    address: str
    """Host and port of its statistics."""
    waiting: Mapping[str, int] = field(default_factory=dict[str, int])
    """The requests that wait for a connection, by cluster. Empty if the last reading failed."""
    answered: ByCluster | None = None
    answered_at: float = -math.inf
    was_read: bool = False
    """True once a reading has succeeded or failed."""
    is_read: bool = False
    """True while it is being read."""


class GatewayStatistics:
    """The statistics of all gateways. The counts do not fall when a gateway ends or starts again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gateways: dict[str, _Gateway] = {}
        self._ended: ByCluster = {}
        """The counts of gateways that have ended."""

    def set_gateways(self, addresses: Mapping[str, str]) -> None:
        """Take the addresses of the gateways that exist, by name."""
        for gone in self._gateways.keys() - addresses.keys():
            self._keep(self._gateways.pop(gone).answered)
        for name, address in addresses.items():
            self._gateways.setdefault(name, _Gateway(name, address)).address = address

    def forget_waiting(self, name: str) -> None:
        """Forget the requests that waited at a gateway, until it is read again."""
        if gateway := self._gateways.get(name):
            gateway.waiting = {}

    async def run(self) -> None:
        """Read the gateways until cancelled. One that does not answer delays none of the others."""
        async with asyncio.TaskGroup() as group:
            async for _ in ticks(self._clock, EVERY):
                for gateway in self._gateways.values():
                    if not gateway.is_read:
                        gateway.is_read = True
                        group.create_task(self._read(gateway), name=f"statistics of {gateway.name}")

    def waiting(self) -> Mapping[str, int]:
        """Return the requests that wait for a connection, by cluster, as they were last read."""
        total: Counter[str] = Counter()
        for gateway in self._gateways.values():
            total.update(gateway.waiting)
        return total

    def answered(self) -> ByCluster:
        """Return the sums by cluster, as they were last read.

        Raises TrafficUnknown before each gateway was read: its counts would look like new requests.
        """
        read = [gateway.answered for gateway in self._gateways.values() if gateway.answered is not None]
        if not all(gateway.was_read for gateway in self._gateways.values()) or not (read or self._ended):
            raise TrafficUnknown("Not all gateways have reported their counts yet.")
        return _sums((*read, self._ended))

    def keep_only(self, clusters: frozenset[str]) -> None:
        """Forget what ended gateways counted for other clusters."""
        self._ended = {name: answered for name, answered in self._ended.items() if name in clusters}

    async def _read(self, gateway: _Gateway) -> None:
        envoy = EnvoyTraffic(Admin(gateway.address))
        try:
            gateway.waiting = await envoy.waiting()
            if self._clock.monotonic() >= gateway.answered_at + ANSWERED_EVERY:
                self._take(gateway, await envoy.answered())
        except TrafficUnknown as error:
            gateway.waiting = {}
            log.debug("the statistics of the gateway %s cannot be read: %s", gateway.name, error)
        finally:
            gateway.is_read, gateway.was_read = False, True

    def _take(self, gateway: _Gateway, counts: ByCluster) -> None:
        if self._gateways.get(gateway.name) is not gateway:
            return  # it has ended meanwhile, and its last counts are kept already
        if gateway.answered and has_started_again(gateway.answered, counts):
            self._keep(gateway.answered)
        gateway.answered, gateway.answered_at = counts, self._clock.monotonic()

    def _keep(self, counts: ByCluster | None) -> None:
        if counts:
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
