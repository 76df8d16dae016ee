"""Startup times of replicas: from their order until requests reach them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import median_low

from gyrus.aio.clock import Clock
from gyrus.contract.operator import StartupTimes
from gyrus.contract.replica import Phase, StartKind
from gyrus.contract.workload import Workload
from gyrus.control.situation import Situation
from gyrus.state.board import Board, Replica
from gyrus.state.errors import StateError
from gyrus.state.records import Api, StartupTime
from gyrus.state.store import KEPT_STARTS, Store

log = logging.getLogger(__name__)

DEFAULT = 5.0
"""Assumed seconds of a start, before any was measured."""


def summed_up(starts: Sequence[StartupTime]) -> tuple[StartupTimes, ...]:
    """Summarise the starts of each kind. ``starts`` are oldest first."""
    by_kind = {kind: [start.seconds for start in starts if start.kind is kind] for kind in StartKind}
    return tuple(
        StartupTimes(kind=kind, median=median_low(times), last=times[-1], count=len(times))
        for kind, times in by_kind.items()
        if times
    )


def expected(times: Iterable[StartupTimes], workload: Workload) -> float:
    """Return the seconds that the next replica is expected to take."""
    by_kind = {each.kind: each.median for each in times}
    cold = by_kind.get(StartKind.COLD, DEFAULT)
    return by_kind.get(StartKind.WARM, cold) if workload.code.preload else cold


@dataclass(slots=True)
class StartupTimer:
    """Measures the starts that this operator has ordered, and loads those that earlier operators measured."""

    store: Store
    board: Board
    clock: Clock
    _ordered: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    """By API and replica: monotonic time of the order."""
    _known: dict[str, tuple[int, tuple[StartupTime, ...]]] = field(
        default_factory=dict[str, tuple[int, tuple[StartupTime, ...]]]
    )
    """By API: the target's revision, and its starts, oldest first."""
    _unstored: dict[str, list[StartupTime]] = field(default_factory=dict[str, list[StartupTime]])
    """By API: measured starts that are not stored yet."""

    async def recall(self, api: Api) -> None:
        """Read the stored starts of the API's target, unless they are known."""
        revision, _ = self._known.get(api.name, (None, ()))
        if revision != api.target.revision:
            self._publish(api, await self.store.starts(api.name, api.target.revision))

    def ordered(self, api: str, replica: str) -> None:
        self._ordered.setdefault(api, {})[replica] = self.clock.monotonic()

    def look(self, situation: Situation) -> None:
        """Measure the startup times of replicas that requests have just begun to reach.

        The starts of the API's target must be known (see :meth:`recall`). Call :meth:`store_measured` later.
        """
        ordered = self._ordered.pop(situation.api.name, {})
        for replica in situation.replicas:
            if (since := ordered.get(replica.id)) is None or _has_failed(replica):
                continue
            if replica.status.phase is Phase.READY and situation.reaches(replica):
                self._note(situation.api, replica, since)
            else:
                self._ordered.setdefault(situation.api.name, {})[replica.id] = since

    async def store_measured(self, api: str) -> None:
        """Store the API's measured starts. Those that cannot be stored are dropped, with a warning."""
        for start in self._unstored.pop(api, ()):
            try:
                await self.store.record_start(start)
            except StateError as error:
                log.warning("cannot store a start of %s in %.2f s: %s", api, start.seconds, error)

    def forget(self, api: str) -> None:
        self._unstored.pop(api, None)
        self._known.pop(api, None)
        self._ordered.pop(api, None)
        self.board.starts.pop(api, None)

    def _note(self, api: Api, replica: Replica, since: float) -> None:
        start = StartupTime(
            api=api.name,
            revision=replica.status.revision,
            kind=replica.status.start,
            seconds=round(self.clock.monotonic() - since, 4),
            time=self.clock.now(),
        )
        revision, known = self._known[api.name]
        if start.revision == revision:
            self._publish(api, (*known, start))
        self._unstored.setdefault(api.name, []).append(start)

    def _publish(self, api: Api, starts: tuple[StartupTime, ...]) -> None:
        kept = tuple(chain.from_iterable(_newest(starts, kind) for kind in StartKind))
        self._known[api.name] = (api.target.revision, kept)
        self.board.starts[api.name] = summed_up(kept)


def _newest(starts: Iterable[StartupTime], kind: StartKind) -> list[StartupTime]:
    return [start for start in starts if start.kind is kind][-KEPT_STARTS:]


def _has_failed(replica: Replica) -> bool:
    """Return True if its first start failed: the time until a later one is no measure of a start."""
    status = replica.status
    return bool(status.restarts) or status.phase in (
        Phase.BACKOFF,
        Phase.FAILED,
        Phase.DRAINING,
        Phase.GONE,
    )
