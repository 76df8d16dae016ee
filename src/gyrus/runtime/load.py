"""What a process of a replica has to do at this moment, for whoever compares it with others."""

from __future__ import annotations

from typing import Any

from gyrus.contract.replica import Load
from gyrus.queueing.line import Line
from gyrus.queueing.pace import LONGEST_TOLD


def load_of(line: Line[Any], now: float, busy: int) -> Load:
    """``now``: on the clock of the line's arrivals. ``busy``: slots that nobody else can have."""
    return Load(
        slots=line.slots,
        busy=busy,
        waiting=line.waiting,
        movable=line.movable,
        places=line.places,
        waited=tuple(round(now - arrived, 4) for arrived in line.oldest(LONGEST_TOLD)),
    )
