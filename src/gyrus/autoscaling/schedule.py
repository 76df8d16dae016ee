"""Minimum replicas by the clock: the line whose time came last holds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gyrus.spec.api import ScheduledMinimum

if TYPE_CHECKING:
    from cronsim import CronSim


@dataclass(frozen=True, slots=True)
class Turn:
    """A line's time came, and it holds until another's comes."""

    since: float
    """Seconds since the epoch."""
    line: ScheduledMinimum

    def __str__(self) -> str:
        """
        >>> line = ScheduledMinimum(cron="0 8 * * mon-fri", min_replicas=5, time_zone="Europe/Berlin")
        >>> str(Turn(1763967600.0, line))
        'schedule 0 8 * * mon-fri asks for 5 since Mon 08:00 Europe/Berlin'
        """
        zone = self.line.time_zone
        moment = datetime.fromtimestamp(self.since, ZoneInfo(zone))
        return f"schedule {self.line.cron} asks for {self.line.min_replicas} since {moment:%a %H:%M} {zone}"


class Schedule:
    """Which line holds. The lines are read only when one's time comes."""

    def __init__(self, lines: Iterable[ScheduledMinimum]) -> None:
        self._lines = tuple(lines)
        self._turn: Turn | None = None
        self._from = math.inf
        self._until = -math.inf

    def at(self, now: float) -> Turn | None:
        """Of lines whose time came together the last one holds. None: no line's time has come yet."""
        if self._lines and not self._from <= now < self._until:
            turns = [turn for line in reversed(self._lines) if (turn := _latest(line, now))]
            self._turn = max(turns, key=lambda turn: turn.since, default=None)
            self._from = now
            self._until = min((_next(line, now) for line in self._lines), default=math.inf)
        return self._turn


def _latest(line: ScheduledMinimum, now: float) -> Turn | None:
    moment = next(_times(line, math.floor(now) + 1, backwards=True), None)
    return None if moment is None else Turn(moment.timestamp(), line)


def _next(line: ScheduledMinimum, now: float) -> float:
    moment = next(_times(line, math.floor(now), backwards=False), None)
    return math.inf if moment is None else moment.timestamp()


def _times(line: ScheduledMinimum, instant: float, *, backwards: bool) -> CronSim:
    """Those before, or after, the instant; by the clock on the wall, summer time included."""
    from cronsim import CronSim  # only where there is a schedule

    return CronSim(line.cron, datetime.fromtimestamp(instant, ZoneInfo(line.time_zone)), reverse=backwards)
