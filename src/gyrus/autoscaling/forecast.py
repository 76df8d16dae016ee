"""What the load is about to be, when a replica that is ordered now would be ready."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gyrus.autoscaling.lead_time_model import LeadTimeModel
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.season import Season
from gyrus.autoscaling.trend import Trend

SAFETY = 1.02
"""Deviations above the mean to be ready for."""
CALM = 1.2
"""Deviations above the mean that must fit into what remains before a replica is let go: more than the above,
so that an estimate that wavers moves nothing. And never less than the mean and its square root: fewer would
have to queue, and be missed at once."""
EVER = 5.0
"""Deviations above the mean beyond which nothing is explained by experience."""
TREND_POINT = 5.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """In requests in flight."""

    least: float
    """To be ready for."""
    calm: float
    """To keep replicas for, where they are there."""
    ever: float
    """Beyond all experience."""

    def over(self, target: float) -> Forecast:
        """In replicas, not rounded, of so many requests each."""
        return Forecast(self.least / target, self.calm / target, self.ever / target)


class Forecaster:
    """Learns with each look, and foresees by experience, trend and season."""

    def __init__(self) -> None:
        self._outlook = LeadTimeModel()
        self._trend = Trend(TREND_POINT)
        self._season = Season()

    def learn(self, sample: Sample, load: float) -> None:
        """``load``: of now, without the queue that is worked off."""
        self._outlook.learn(sample.now, load, sample.startup)
        self._trend.add(sample.now, load)
        self._season.add(sample.now, load)

    def foresee(self, sample: Sample, load: float, average: float) -> Forecast | None:
        """A start-up from now. None: there is no experience with this traffic yet."""
        expected = self._outlook.expected(load)
        if expected is None:
            return None
        rise = max(self._trend.slope * sample.startup, self._rise(sample))
        risen = average + rise + SAFETY * expected.deviation if rise > 0 else 0.0
        return Forecast(
            least=max(expected.level(SAFETY), risen),
            calm=max(expected.level(CALM), expected.mean + math.sqrt(expected.mean)),
            ever=expected.level(EVER),
        )

    def foresee_waking(self, sample: Sample) -> Forecast:
        """After a silence so long that only the calendar can tell its end."""
        return Forecast(least=self._rise(sample), calm=0.0, ever=0.0)

    def _rise(self, sample: Sample) -> float:
        return self._season.change(sample.now, sample.startup)
