"""Replicas beyond the stable number: those of a forecast, and those that a burst needs at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gyrus.autoscaling.forecast import Forecast
from gyrus.autoscaling.memory import BurstMemory
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.recommendation import Recommendation, grown, shrunk, whole
from gyrus.autoscaling.windows import Extreme
from gyrus.spec.api import Autoscaling
from gyrus.spec.quantities import format_duration

KEPT = 0.25
"""Share of a start-up for which a burst's replicas are kept after they are no longer needed."""
OVER = 1.3
SMALLEST = 2
"""A burst is over when there are ``OVER`` times the needed replicas, and at least ``SMALLEST`` more of
them."""
SHRINKING = 0.95
"""Share of the panic window's average. If less is in flight now, the queue is shrinking."""
SLACK = 0.15
"""Share of all replicas. Fewer unneeded replicas than this are kept, so that a wavering need moves
nothing.

Under a load that swings by 40 % around 25 replicas, the number changes at most once in 45 minutes; without
this, 21 to 54 times, with up to twice as many late requests."""


@dataclass(frozen=True, slots=True)
class BurstDemand:
    wanted: int
    recommendation: Recommendation


class BurstScaler:
    """Scales up as soon as the forecast rises. Scales down soon after a burst, and otherwise slowly.

    A need of ``panic_threshold`` times the present replicas is a burst: its replicas are ordered at once. For
    a lesser need, their number grows by ``max_upscale_factor`` per decision. The replicas of a burst are
    removed when it is over, since the forecast predicts the next one when that begins. The replicas for a
    wavering need are held for the downscale stabilization period, as those of the stable number are.
    """

    def __init__(self, scaling: Autoscaling) -> None:
        self._recent = Extreme(0.0, highest=True)
        self._held = Extreme(0.0, highest=True)
        self._bursting = False
        self._stepped = False
        self._step = 0.0
        self._step_until = -math.inf
        self.reconfigure(scaling)

    def reconfigure(self, scaling: Autoscaling) -> None:
        self._scaling = scaling
        self._held.span = scaling.downscale_stabilization_period.total_seconds()

    def rest(self) -> None:
        """Forget the past needs."""
        self._recent.forget()
        self._held.forget()

    def memory(self) -> BurstMemory:
        return BurstMemory(
            recent=self._recent.memory(),
            held=self._held.memory(),
            bursting=self._bursting,
            stepped=self._stepped,
            step=self._step,
            step_until=None if self._step_until == -math.inf else self._step_until,
        )

    def recall(self, memory: BurstMemory) -> None:
        self._recent.recall(memory.recent)
        self._held.recall(memory.held)
        self._bursting, self._stepped, self._step = memory.bursting, memory.stepped, memory.step
        self._step_until = -math.inf if memory.step_until is None else memory.step_until

    def follow(self, sample: Sample, need: Forecast | None, panic: float, load: float) -> BurstDemand:
        """Decide how many replicas the traffic needs at once.

        All figures are in replicas, not rounded: ``need`` is the forecast, or None if there is none;
        ``panic`` is the need over the panic window; ``load`` is the need of the requests in flight now.
        """
        if need is None:
            least = calm = self._burst(sample.requested, panic)
        else:
            least, calm = max(need.least, self._beyond(sample, need, panic, load)), need.calm
        self._recent.span = sample.startup * KEPT
        recent = whole(self._recent.add(sample.now, least))
        held = whole(self._held.add(sample.now, calm))
        if whole(least) > sample.requested:
            return BurstDemand(whole(least), self._up(sample.requested, least))
        return BurstDemand(whole(least), self._down(sample, whole(least), recent, held))

    def _burst(self, present: int, panic: float) -> float:
        """Return the need of a burst without a forecast: the panic window's average."""
        threshold = self._scaling.panic_threshold
        if threshold is None:
            self._bursting = False
        elif panic >= threshold * max(present, 1):
            self._bursting = True
        elif panic * threshold <= present:
            self._bursting = False
        return panic if self._bursting else 0.0

    def _beyond(self, sample: Sample, need: Forecast, panic: float, load: float) -> float:
        """Return the need of a burst beyond all experience.

        The present replicas can work off a queue, so a queue alone is no reason to order a replica for each
        request. The first order is one step. The whole need is ordered only if that step is ready and the
        queue does not shrink. A step is kept for one start-up, until it is ready.
        """
        threshold, present = self._scaling.panic_threshold, sample.requested
        if threshold is None or panic < max(threshold * max(present, 1), need.ever):
            self._stepped = False
        elif sample.ready >= present and load >= panic * SHRINKING:
            limited = grown(present, whole(panic), self._scaling.max_upscale_factor).replicas
            self._step = panic if self._stepped else limited
            self._step_until = sample.now + sample.startup
            self._stepped = True
        return self._step if sample.now <= self._step_until else 0.0

    def _up(self, present: int, least: float) -> Recommendation:
        scaling, wanted = self._scaling, whole(least)
        if scaling.panic_threshold is not None and least >= scaling.panic_threshold * present:
            return Recommendation(wanted)
        if least < present * (1 + scaling.upscale_tolerance):
            because = f"{least:.2f} is within the tolerance of {scaling.upscale_tolerance:g}"
            return Recommendation(present, "upscale_tolerance", because)
        return grown(present, wanted, scaling.max_upscale_factor)

    def _down(self, sample: Sample, wanted: int, recent: int, held: int) -> Recommendation:
        scaling, present = self._scaling, sample.requested
        recent, held = min(recent, present), min(held, present)
        because = f"this many were needed within {sample.startup * KEPT:.0f}s, a quarter of a start-up"
        shrinking = Recommendation(wanted).at_least(recent, "startup", because)
        limited = shrunk(present, shrinking.replicas, scaling.max_downscale_factor)
        shrinking = limited if limited.rule else shrinking
        over = recent * OVER <= present and present - recent >= SMALLEST
        if over and scaling.panic_threshold is not None:
            self._held.forget()  # otherwise the burst's own need would hold its replicas
            return shrinking
        kept = max(recent, held)
        if kept > present * (1 - SLACK):
            kept = present
        because = f"this many were needed within {format_duration(scaling.downscale_stabilization_period)}"
        return shrinking.at_least(kept, "downscale_stabilization_period", because)
