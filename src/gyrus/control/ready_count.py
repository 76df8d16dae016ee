"""The number of an API's ready replicas that requests reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gyrus.contract.replica import Phase
from gyrus.state.board import ByPool, Replica

NONE: ByPool = {}


@dataclass(slots=True)
class ReadyCount:
    """A cached count. It is valid for the same two objects: the board's values never change in place."""

    _replicas: Sequence[Replica] = ()
    _reached: ByPool = field(default_factory=dict[str, frozenset[str]])
    _count: int = 0

    def of(self, replicas: Sequence[Replica], reached: ByPool) -> int:
        """Return the number of ready replicas with an endpoint that requests reach in some pool."""
        if replicas is not self._replicas or reached is not self._reached:
            self._replicas, self._reached = replicas, reached
            self._count = count_ready(replicas, reached)
        return self._count


def count_ready(replicas: Sequence[Replica], reached: ByPool) -> int:
    endpoints = frozenset[str]().union(*reached.values())
    statuses = (replica.status for replica in replicas)
    return sum(s.phase is Phase.READY and not endpoints.isdisjoint(s.endpoints) for s in statuses)
