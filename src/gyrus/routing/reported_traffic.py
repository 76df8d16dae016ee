"""Requests of several gateways: as they report them, and as their statistics show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.gateway_statistics import GatewayStatistics
from gyrus.routing.traffic import Answered
from gyrus.routing.xds.load_reports import LoadReport
from gyrus.state.board import Board, is_pool


@dataclass(slots=True)
class ReportedTraffic:
    """The TrafficSource of gateways that report their loads.

    A gateway whose stream has ended counts with its last report until :meth:`node_gone`: its requests go on.
    """

    board: Board
    statistics: GatewayStatistics
    _in_progress: dict[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """By node: its requests in progress by cluster."""

    # Events

    def reported(self, report: LoadReport) -> None:
        """Record one report of one gateway."""
        pools = {name: number for name, number in report.in_progress.items() if is_pool(name)}
        self._in_progress[report.node] = pools

    def node_gone(self, node: str) -> None:
        """Forget a gateway that has ended: it has no requests any more."""
        self._in_progress.pop(node, None)
        self.statistics.forget_waiting(node)

    # Known facts

    async def in_flight(self) -> Mapping[str, int]:
        if not self._in_progress:
            raise TrafficUnknown("No gateway has reported its load yet.")
        total: Counter[str] = Counter()
        for each in (*self._in_progress.values(), self.statistics.waiting()):
            total.update(each)
        return total

    async def answered(self) -> Mapping[str, Answered]:
        """Return the counts of the pools that routes have."""
        kept = frozenset(pool.id for route in self.board.routes.values() for pool in route.pools)
        counts = self.statistics.answered()
        self.statistics.keep_only(kept)
        return {name: answered for name, answered in counts.items() if name in kept}
