"""The load to expect at the time when a replica that is ordered now becomes ready."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gyrus.autoscaling.lead_time_model import LeadTimeModel
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.season import Season
from gyrus.autoscaling.trend import Trend

SAFETY = 1.02
"""Deviations above the mean for which replicas must be ready."""
CALM = 1.2
"""Deviations above the mean that the remaining replicas must carry before one is removed. It is more than
``SAFETY``, so that a wavering estimate moves nothing. The remaining replicas also carry at least the mean
plus its square root: with fewer, requests would queue, and the removed replica would be missed at once."""
EVER = 5.0
"""Deviations above the mean; experience does not explain a load beyond them."""
TREND_POINT = 5.0
"""Seconds that a point of the trend averages."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """An expected load, in requests in flight."""

    least: float
    """Load for which replicas must be ready."""
    calm: float
    """Load for which present replicas are kept."""
    ever: float
    """Load above which experience does not count."""

    def over(self, target: float) -> Forecast:
        """Convert the forecast to replicas of ``target`` requests each, not rounded."""
        return Forecast(self.least / target, self.calm / target, self.ever / target)


class Forecaster:
    """A forecaster that learns from each sample, and predicts by experience, trend and season."""

    def __init__(self) -> None:
        self.lead_time = LeadTimeModel()
        self.trend = Trend(TREND_POINT)
        self.season = Season()

    def learn(self, sample: Sample, load: float) -> None:
        """Learn from a sample. ``load`` is the present load without the queue that is being worked off."""
        self.lead_time.learn(sample.now, load, sample.startup)
        self.trend.add(sample.now, load)
        self.season.add(sample.now, load)

    def foresee(self, sample: Sample, load: float, average: float) -> Forecast | None:
        """Predict the load one start-up from now. Returns None without experience of this traffic."""
        expected = self.lead_time.expected(load)
        if expected is None:
            return None
        rise = max(self.trend.slope * sample.startup, self._rise(sample))
        risen = average + rise + SAFETY * expected.deviation if rise > 0 else 0.0
        return Forecast(
            least=max(expected.level(SAFETY), risen),
            calm=max(expected.level(CALM), expected.mean + math.sqrt(expected.mean)),
            ever=expected.level(EVER),
        )

    def foresee_waking(self, sample: Sample) -> Forecast:
        """Predict the load after a silence so long that only the season predicts its end."""
        return Forecast(least=self._rise(sample), calm=0.0, ever=0.0)

    def _rise(self, sample: Sample) -> float:
        return self.season.change(sample.now, sample.startup)
