"""Minimum replicas by the clock: the schedule's line whose time came last is in force."""

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
    """A line in force: from its own time until the time of another."""

    since: float
    """Seconds since the epoch."""
    line: ScheduledMinimum

    def __str__(self) -> str:
        """Describe the line for the user.

        >>> line = ScheduledMinimum(cron="0 8 * * mon-fri", min_replicas=5, time_zone="Europe/Berlin")
        >>> str(Turn(1763967600.0, line))
        'schedule 0 8 * * mon-fri asks for 5 since Mon 08:00 Europe/Berlin'
        """
        zone = self.line.time_zone
        moment = datetime.fromtimestamp(self.since, ZoneInfo(zone))
        return f"schedule {self.line.cron} asks for {self.line.min_replicas} since {moment:%a %H:%M} {zone}"


class Schedule:
    """The lines of a schedule. Their cron expressions are evaluated only when the time of one comes."""

    def __init__(self, lines: Iterable[ScheduledMinimum]) -> None:
        self._lines = tuple(lines)
        self._turn: Turn | None = None
        self._from = math.inf
        self._until = -math.inf

    def at(self, now: float) -> Turn | None:
        """Return the line in force. Of lines with the same time, the last one counts.

        Returns None if the time of no line has come yet.
        """
        if self._lines and not self._from <= now < self._until:
            turns = [turn for line in reversed(self._lines) if (turn := _latest(line, now))]
            self._turn = max(turns, key=lambda turn: turn.since, default=None)
            self._from = now
            self._until = min((_next(line, now) for line in self._lines), default=math.inf)
        return self._turn


def _latest(line: ScheduledMinimum, now: float) -> Turn | None:
    # CronSim excludes the instant at which it starts: with + 1, a time that is now counts.
    moment = next(_times(line, math.floor(now) + 1, backwards=True), None)
    return None if moment is None else Turn(moment.timestamp(), line)


def _next(line: ScheduledMinimum, now: float) -> float:
    moment = next(_times(line, math.floor(now), backwards=False), None)
    return math.inf if moment is None else moment.timestamp()


def _times(line: ScheduledMinimum, instant: float, *, backwards: bool) -> CronSim:
    """Iterate over a line's times before or after the instant, by local time including summer time."""
    from cronsim import CronSim  # imported only if there is a schedule

    return CronSim(line.cron, datetime.fromtimestamp(instant, ZoneInfo(line.time_zone)), reverse=backwards)
