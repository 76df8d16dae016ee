"""The measured traffic of the gateways, on the board: by pool, and summed for each API."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.aio.slices import slices
from gyrus.contract.operator import TrafficView
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.latencies import Latencies, merged
from gyrus.state.board import Board, PoolTraffic, Route, Traffic, api_of

log = logging.getLogger(__name__)

EVERY = 0.25
"""Seconds between two samples of the requests in flight."""
ANSWERED_EVERY = 8
"""Samples of the requests in flight for each sample of counts and latencies. Envoy itself updates latencies
only every five seconds."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answered requests of one cluster since the gateway started."""

    by_code: Mapping[str, int] = field(default_factory=dict[str, int])
    """By class of code: ``2xx`` to ``5xx``."""
    latencies: Latencies = field(default_factory=Latencies)


@dataclass(slots=True)
class _Counts:
    """The counts of one API's requests."""

    in_flight: dict[str, int] = field(default_factory=dict[str, int])
    """By cluster, like ``answered``."""
    answered: dict[str, Answered] = field(default_factory=dict[str, Answered])
    gone: Answered | None = None
    """Requests of clusters that are gone."""


NO_COUNTS = _Counts()


@dataclass(frozen=True, slots=True)
class _Made:
    """An API's traffic, and the values that it was built from."""

    route: Route
    counts: _Counts
    traffic: Traffic


class TrafficSource(Protocol):
    """A source of counts. Both methods raise TrafficUnknown."""

    async def in_flight(self) -> Mapping[str, int]:
        """Return the requests in flight by cluster."""
        ...

    async def answered(self) -> Mapping[str, Answered]:
        """Return the answered requests by cluster. Clusters without requests may be missing."""
        ...


class TrafficMeter:
    """Writer of ``board.traffic``, and of the number of its readings.

    Owned by the gateway, which calls :meth:`look`.
    """

    def __init__(self, board: Board, source: TrafficSource) -> None:
        self._board = board
        self._source = source
        self._life = 0
        """Number of gateways that have ended: a sample that began before an end is dropped."""
        self._looks = 0
        self._answered: Mapping[str, Answered] = {}
        self._gone: dict[str, Answered] = {}
        """By API: requests of clusters that are gone. They stay in the API's sums."""
        self._made: Mapping[str, _Made] = {}
        self.in_flight: Mapping[str, int] | None = None
        """By cluster, from the last sample. None before the first one: a gateway may have been adopted with
        requests in it."""

    async def look(self) -> None:
        """Take one sample. Call it every :data:`EVERY` seconds. Raises TrafficUnknown."""
        life = self._life
        in_flight = await self._source.in_flight()
        answered = await self._read_answered() if self._looks % ANSWERED_EVERY == 0 else self._answered
        if life != self._life:  # the gateway ended while it was asked, and another one counts from zero
            return
        if answered is not None:
            self._note(answered)
            self._looks += 1  # not after a failed read: the next sample then repeats it
        self.in_flight = in_flight
        counts = self._counts()
        made = {
            api: self._made_of(route, counts.get(api, NO_COUNTS))
            async for api, route in slices(tuple(self._board.routes.items()))
        }
        if life == self._life:  # checked again: the slices above let other tasks run
            self._made = made
            self._board.traffic = {api: each.traffic for api, each in made.items()}
            self._board.traffic_readings += 1

    async def _read_answered(self) -> Mapping[str, Answered] | None:
        """Return the answered requests, or None if they cannot be read now.

        The numbers in flight, which the autoscaler and the rebalancer need, do not depend on them.
        """
        try:
            return await self._source.answered()
        except TrafficUnknown as error:
            log.debug("the gateway's counts cannot be read: %s", error)
            return None

    def forget(self) -> None:
        """Drop all counts, because no gateway runs. The next one counts from zero."""
        self._life += 1
        self._looks = 0
        self._answered, self._gone, self._made, self.in_flight = {}, {}, {}, {}
        self._board.traffic = {}
        self._board.traffic_readings += 1

    def _note(self, answered: Mapping[str, Answered]) -> None:
        for cluster in self._answered.keys() - answered.keys():
            api = api_of(cluster)
            self._gone[api] = summed(filter(None, (self._gone.get(api), self._answered[cluster])))
        for api in self._gone.keys() - self._board.routes.keys():
            del self._gone[api]
        self._answered = answered

    def _counts(self) -> dict[str, _Counts]:
        """Return the counts by API, including those of clusters that are gone."""
        found = {api: _Counts(gone=gone) for api, gone in self._gone.items()}
        for cluster, number in (self.in_flight or {}).items():
            found.setdefault(api_of(cluster), _Counts()).in_flight[cluster] = number
        for cluster, answered in self._answered.items():
            found.setdefault(api_of(cluster), _Counts()).answered[cluster] = answered
        return found

    def _made_of(self, route: Route, counts: _Counts) -> _Made:
        """Return the API's traffic, the last object if its values have not changed."""
        last = self._made.get(route.api)
        if last and last.route is route and last.counts == counts:
            return last
        return _Made(route, counts, self._traffic(route, counts))

    def _traffic(self, route: Route, counts: _Counts) -> Traffic:
        return Traffic(
            in_flight=sum(counts.in_flight.values()),
            view=_view(summed(filter(None, (*counts.answered.values(), counts.gone)))),
            pools={pool.id: self._pool(pool.id) for pool in route.pools},
        )

    def _pool(self, pool: str) -> PoolTraffic:
        in_flight = (self.in_flight or {}).get(pool, 0)
        return PoolTraffic(in_flight=in_flight, view=_view(self._answered.get(pool, Answered())))


def summed(parts: Iterable[Answered]) -> Answered:
    """Return the requests of all parts together."""
    parts = tuple(parts)
    if len(parts) == 1:
        return parts[0]
    codes: Counter[str] = Counter()
    for part in parts:
        codes.update(part.by_code)
    return Answered(codes, merged(part.latencies for part in parts))


def _view(answered: Answered) -> TrafficView:
    times = answered.latencies
    return TrafficView(
        requests=sum(answered.by_code.values()),
        by_code=dict(answered.by_code),
        p50=times.at(50),
        p95=times.at(95),
        p99=times.at(99),
    )
