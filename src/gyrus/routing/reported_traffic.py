"""Requests as several gateways report them, summed over all gateways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.latencies import Latencies
from gyrus.routing.traffic import Answered
from gyrus.routing.xds.load_reports import LoadReport
from gyrus.state.board import Board, is_pool


@dataclass(slots=True)
class _Counts:
    """One pool's answered requests at all gateways, since the operator started."""

    succeeded: int = 0
    failed: int = 0


@dataclass(slots=True)
class ReportedTraffic:
    """The TrafficSource of gateways that report their loads.

    A gateway whose stream has ended counts with its last report until :meth:`node_gone`: its requests go on.
    """

    board: Board
    _in_progress: dict[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """By node: its requests in progress by cluster."""
    _answered: dict[str, _Counts] = field(default_factory=dict[str, _Counts])

    # Events

    def reported(self, report: LoadReport) -> None:
        """Record one report of one gateway."""
        pools = {name: load for name, load in report.clusters.items() if is_pool(name)}
        self._in_progress[report.node] = {name: load.in_progress for name, load in pools.items()}
        for name, load in pools.items():
            counts = self._answered.setdefault(name, _Counts())
            counts.succeeded += load.succeeded
            counts.failed += load.failed

    def node_gone(self, node: str) -> None:
        """Forget a gateway that has ended: it has no requests any more."""
        self._in_progress.pop(node, None)

    # Known facts

    async def in_flight(self) -> Mapping[str, int]:
        if not self._in_progress:
            raise TrafficUnknown("No gateway has reported its load yet.")
        total: Counter[str] = Counter()
        for each in self._in_progress.values():
            total.update(each)
        return total

    async def answered(self) -> Mapping[str, Answered]:
        """Return the counts of the pools that routes have, and forget those of all others."""
        kept = {pool.id for route in self.board.routes.values() for pool in route.pools}
        self._answered = {name: counts for name, counts in self._answered.items() if name in kept}
        return {
            name: Answered(
                {"2xx": counts.succeeded, "5xx": counts.failed},
                Latencies(counts.succeeded + counts.failed),
            )
            for name, counts in self._answered.items()
        }
