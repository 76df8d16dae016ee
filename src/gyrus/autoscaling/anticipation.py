"""Replicas for what the load is about to be, when a replica that is ordered now would be ready."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.autoscaling.outlook import Outlook
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.season import Season
from gyrus.autoscaling.trend import Trend

SAFETY = 1.3
"""Deviations above the mean to be ready for."""
CALM = 2.0
"""Deviations above the mean that must fit into what remains, before a replica is let go."""
TREND_POINT = 15.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Need:
    """A load to be ready for, in requests in flight."""

    least: float
    """Less would be too little."""
    calm: float
    """What is there is not let go below this."""


class Anticipation:
    """Learns with each look; foresees by experience, trend and season."""

    def __init__(self) -> None:
        self.outlook = Outlook()
        self.trend = Trend(TREND_POINT)
        self.season = Season()

    def learn(self, sample: Sample, look: float, load: float) -> None:
        """``look``: what the traffic looks like. ``load``: what it is, without a queue that is worked off."""
        self.outlook.learn(sample.now, look, load, sample.startup)
        self.trend.add(sample.now, load)
        self.season.add(sample.now, load)

    def foresee(self, sample: Sample, look: float, average: float) -> Need | None:
        """A start-up from now. None: a traffic that looks like this is not known yet."""
        expected = self.outlook.expected(look)
        if expected is None:
            return None
        rise = max(self.trend.slope, 0.0) * sample.startup
        rise = max(rise, self.season.change(sample.now, sample.startup))
        ahead = average + rise if rise else 0.0
        return Need(max(expected.level(SAFETY), ahead), max(expected.level(CALM), ahead))
