"""Axes of charts: round numbers and times, and the positions of values between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIMES = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
    86_400, 172_800, 604_800, 1_209_600, 2_592_000,
)  # fmt: skip
"""Seconds between marks of a time axis."""
EPOCH_BEGINS = 1e8
"""Seconds. Times from here on count as dates; smaller ones as times since a beginning."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from 0 to ``top``, over ``length`` pixels."""

    top: float
    length: float
    logarithmic: bool = False
    """True to use ``log(1 + value)``, so that one waiting request is visible beside thousands."""

    def place(self, value: float) -> float:
        """Return the value's distance from 0 in pixels."""
        if self.logarithmic:
            return math.log1p(value) / math.log1p(self.top) * self.length
        return value / self.top * self.length

    @property
    def marks(self) -> list[float]:
        if self.logarithmic:
            return [0.0, *(10.0**power for power in range(int(math.log10(self.top)) + 1))]
        step = next(step for step in _steps(self.top / 4) if step >= self.top / 4)
        return [step * number for number in range(int(self.top / step + 1e-9) + 1)]


def axis(highest: float, length: float, *, logarithmic: bool = False) -> Axis:
    """Build an axis up to a little above the highest value; ``logarithmic`` applies only to high values."""
    if logarithmic and highest > 30:
        return Axis(highest * 1.3, length, logarithmic=True)
    return Axis(max(highest, 1.0) * 1.08, length)


def _steps(about: float) -> list[float]:
    scale = 10.0 ** math.floor(math.log10(about))
    return [scale * factor for factor in _ROUND]


def times(start: float, length: float, most: int = 8) -> list[tuple[float, str]]:
    """Return the marks of a time axis of ``length`` seconds: seconds from its start, and their labels.

    >>> times(0.0, 60.0, 4)
    [(0.0, '0:00'), (15.0, '0:15'), (30.0, '0:30'), (45.0, '0:45'), (60.0, '1:00')]
    """
    step = next((step for step in _TIMES if length / step <= most), _TIMES[-1])
    offset = -start % step if start >= EPOCH_BEGINS else 0.0
    number = int((length - offset) / step + 1e-9) + 1
    marks = [offset + step * each for each in range(max(0, number))]
    return [(mark, _clock(start, mark, step)) for mark in marks]


def _clock(start: float, after: float, step: float) -> str:
    if start < EPOCH_BEGINS:
        minutes, seconds = divmod(after, 60)
        if step < 1:
            return f"{after:.1f} s"
        hours, minutes = divmod(int(minutes), 60)
        return f"{hours}:{minutes:02}:{int(seconds):02}" if hours else f"{minutes}:{int(seconds):02}"
    moment = datetime.fromtimestamp(round(start + after, 3), UTC)
    if step >= 86_400:
        return f"{moment:%b} {moment.day}"
    return f"{moment:%H:%M}" if step >= 60 else f"{moment:%H:%M:%S}"


def day(start: float) -> str:
    """Return the label of a time axis: the beginning from which it counts."""
    if start < EPOCH_BEGINS:
        return "time from the first request"
    moment = datetime.fromtimestamp(start, UTC)
    return f"{moment.day} {moment:%B %Y}, UTC"


def number(value: float) -> str:
    """Format a mark's value.

    >>> number(0.5), number(2000.0)
    ('0.5', '2,000')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,g}"


def highest(values: Sequence[float]) -> float:
    return max(values, default=0.0)
