"""The traffic that gateways measure, on the board: by pool, and summed for each API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.contract.operator import TrafficView
from gyrus.routing.latencies import Latencies, merged
from gyrus.state.board import Board, PoolTraffic, Route, Traffic, api_of

EVERY = 0.25
"""Seconds between looks at the requests in flight."""
ANSWERED_EVERY = 8
"""Looks at the requests in flight for each one at counts and latencies: Envoy sums up latencies every five
seconds anyway."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The requests that were answered in one cluster, since the gateway started."""

    by_code: Mapping[str, int] = field(default_factory=dict[str, int])
    """Keys ``2xx`` to ``5xx``."""
    latencies: Latencies = field(default_factory=Latencies)


class TrafficSource(Protocol):
    """A place where requests are counted. Both methods raise TrafficUnknown."""

    async def in_flight(self) -> Mapping[str, int]:
        """By cluster."""
        ...

    async def answered(self) -> Mapping[str, Answered]:
        """By cluster. Those without requests may be missing."""
        ...


class TrafficMeter:
    """Writes ``board.traffic``. Owned by the gateway, which calls :meth:`look`."""

    def __init__(self, board: Board, source: TrafficSource) -> None:
        self._board = board
        self._source = source
        self._looks = 0
        self._answered: Mapping[str, Answered] = {}
        self._gone: dict[str, Answered] = {}
        """By API: of clusters that are gone. Their requests stay in the API's sums."""
        self.in_flight: Mapping[str, int] = {}
        """By cluster, as seen last."""

    async def look(self) -> None:
        """Call it every :data:`EVERY` seconds. Raises TrafficUnknown."""
        if self._looks % ANSWERED_EVERY == 0:
            self._note(await self._source.answered())
        self._looks += 1
        self.in_flight = await self._source.in_flight()
        clusters = _by_api(self._answered.keys() | self.in_flight.keys())
        routes = self._board.routes
        self._board.traffic = {
            api: self._traffic(route, clusters.get(api, ())) for api, route in routes.items()
        }

    def forget(self) -> None:
        """No gateway runs: the next one counts from nothing."""
        self._looks = 0
        self._answered, self._gone, self.in_flight = {}, {}, {}
        self._board.traffic = {}

    def _note(self, answered: Mapping[str, Answered]) -> None:
        for cluster in self._answered.keys() - answered.keys():
            api = api_of(cluster)
            self._gone[api] = _sum(filter(None, (self._gone.get(api), self._answered[cluster])))
        for api in self._gone.keys() - self._board.routes.keys():
            del self._gone[api]
        self._answered = answered

    def _traffic(self, route: Route, clusters: Iterable[str]) -> Traffic:
        clusters = tuple(clusters)
        known = [self._answered[cluster] for cluster in clusters if cluster in self._answered]
        gone = self._gone.get(route.api)
        return Traffic(
            in_flight=sum(self.in_flight.get(cluster, 0) for cluster in clusters),
            view=_view(_sum([*known, gone] if gone else known)),
            pools={pool.id: self._pool(pool.id) for pool in route.pools},
        )

    def _pool(self, pool: str) -> PoolTraffic:
        in_flight = self.in_flight.get(pool, 0)
        return PoolTraffic(in_flight=in_flight, view=_view(self._answered.get(pool, Answered())))


def _by_api(clusters: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cluster in clusters:
        found.setdefault(api_of(cluster), []).append(cluster)
    return found


def _sum(parts: Iterable[Answered]) -> Answered:
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
