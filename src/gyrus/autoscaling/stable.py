"""Cortex's rules: the number of replicas for traffic without surprises."""

from __future__ import annotations

from datetime import timedelta

from gyrus.autoscaling.memory import StableMemory
from gyrus.autoscaling.recommendation import Recommendation, grown, shrunk, whole
from gyrus.autoscaling.windows import Extreme
from gyrus.spec.api import Autoscaling
from gyrus.spec.quantities import format_duration

UP = "upscale_stabilization_period"
DOWN = "downscale_stabilization_period"


class Stable:
    """A number that follows the average slowly: up after some time of need, down after a longer time without.

    It depends only on the traffic and on its own past. Replicas for a burst are added to it, and do not
    become a number that it holds.
    """

    def __init__(self, scaling: Autoscaling, replicas: int) -> None:
        self.replicas = replicas
        self._since: float | None = None
        self._lowest = Extreme(0.0, highest=False)
        self._highest = Extreme(0.0, highest=True)
        self.reconfigure(scaling)

    def reconfigure(self, scaling: Autoscaling) -> None:
        self._scaling = scaling
        self._lowest.span = scaling.upscale_stabilization_period.total_seconds()
        self._highest.span = scaling.downscale_stabilization_period.total_seconds()

    def rest(self) -> None:
        """Forget the past averages: no request was in flight for the whole downscale period."""
        self._highest.forget()

    def memory(self) -> StableMemory:
        lowest, highest = self._lowest.memory(), self._highest.memory()
        return StableMemory(replicas=self.replicas, since=self._since, lowest=lowest, highest=highest)

    def recall(self, memory: StableMemory) -> None:
        self.replicas, self._since = memory.replicas, memory.since
        self._lowest.recall(memory.lowest)
        self._highest.recall(memory.highest)

    def follow(self, now: float, raw: float) -> Recommendation:
        """Follow the average. ``raw`` is its need in replicas, not rounded."""
        if self._since is None:
            self._since = now
        known = now - self._since
        recommended = self._tolerated(raw)
        lowest = int(self._lowest.add(now, recommended.replicas))
        highest = int(self._highest.add(now, recommended.replicas))
        if recommended.replicas > self.replicas:
            recommended = self._risen(recommended.replicas, lowest, known)
        elif recommended.replicas < self.replicas:
            recommended = self._fallen(recommended.replicas, highest, known)
        self.replicas = recommended.replicas
        return recommended

    def _tolerated(self, raw: float) -> Recommendation:
        scaling, present = self._scaling, self.replicas
        if present * (1 - scaling.downscale_tolerance) < raw < present:
            because = f"{raw:.2f} is within the tolerance of {scaling.downscale_tolerance:g}"
            return Recommendation(present, "downscale_tolerance", because)
        if present < raw < present * (1 + scaling.upscale_tolerance):
            because = f"{raw:.2f} is within the tolerance of {scaling.upscale_tolerance:g}"
            return Recommendation(present, "upscale_tolerance", because)
        return Recommendation(whole(raw))

    def _risen(self, recommended: int, lowest: int, known: float) -> Recommendation:
        period, present = self._scaling.upscale_stabilization_period, self.replicas
        if known < period.total_seconds():
            return Recommendation(present, UP, _unknown(period, known))
        limited = grown(present, recommended, self._scaling.max_upscale_factor)
        because = f"lowest recommendation of {format_duration(period)} is {lowest}"
        return limited.at_most(max(lowest, present), UP, because)

    def _fallen(self, recommended: int, highest: int, known: float) -> Recommendation:
        period, present = self._scaling.downscale_stabilization_period, self.replicas
        if known < period.total_seconds():
            return Recommendation(present, DOWN, _unknown(period, known))
        limited = shrunk(present, recommended, self._scaling.max_downscale_factor)
        because = f"highest recommendation of {format_duration(period)} is {highest}"
        return limited.at_least(min(highest, present), DOWN, because)


def _unknown(period: timedelta, known: float) -> str:
    return f"the traffic has been known for only {known:.0f}s of {format_duration(period)}"
