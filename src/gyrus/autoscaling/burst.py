"""What goes beyond the stable number: capacity that is foreseen, or that a burst calls for at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gyrus.autoscaling.forecast import Forecast
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.recommendation import Recommendation, grown, shrunk, whole
from gyrus.autoscaling.windows import Extreme
from gyrus.spec.api import Autoscaling
from gyrus.spec.quantities import format_duration

KEPT = 0.25
"""Of a start-up: for how long a burst's replicas are kept though they are not needed."""
OVER = 1.3
SMALLEST = 2
"""A burst is over when there are so many times, and so many more, replicas than are needed."""
SHRINKING = 0.95
"""Of the panic window's average: with less in flight now, a queue is being worked off."""
SLACK = 0.15
"""Replicas beyond the need are let go only if they are more than this share of all."""


@dataclass(frozen=True, slots=True)
class BurstDemand:
    wanted: int
    bound: Recommendation


class BurstScaler:
    """Up: as soon as it is foreseen. Down: soon after a burst, else as slowly as the stable number.

    A need of ``panic_threshold`` times what there is is a burst, and is followed at once; a lesser one by
    ``max_upscale_factor`` a decision. When a burst is over its replicas go, since the next one is foreseen
    when it begins. What a need that wavers took is held for the downscale stabilization period.
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
        """What was needed once is needed no more."""
        self._recent.forget()
        self._held.forget()

    def follow(self, sample: Sample, need: Forecast | None, panic: float, load: float) -> BurstDemand:
        """In replicas, not rounded: what is foreseen, if anything is; what the panic window asks for; and
        what is in flight now."""
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
        """Without experience the burst itself says what it needs."""
        threshold = self._scaling.panic_threshold
        if threshold is None:
            self._bursting = False
        elif panic >= threshold * max(present, 1):
            self._bursting = True
        elif panic * threshold <= present:
            self._bursting = False
        return panic if self._bursting else 0.0

    def _beyond(self, sample: Sample, need: Forecast, panic: float, load: float) -> float:
        """A burst beyond all experience. A queue alone is worked off by what there is, and no reason to order
        as many replicas as there are requests: first a step, and all of it only if what was ordered is there
        and the queue does not shrink. A step is kept until it is there."""
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
        because = f"as many were needed within {sample.startup * KEPT:.0f}s, a quarter of a start-up"
        shrinking = Recommendation(wanted).at_least(recent, "startup", because)
        limited = shrunk(present, shrinking.replicas, scaling.max_downscale_factor)
        shrinking = limited if limited.rule else shrinking
        over = recent * OVER <= present and present - recent >= SMALLEST
        if over and scaling.panic_threshold is not None:
            self._held.forget()
            return shrinking
        kept = max(recent, held)
        if kept > present * (1 - SLACK):
            kept = present
        because = f"as many were needed within {format_duration(scaling.downscale_stabilization_period)}"
        return shrinking.at_least(kept, "downscale_stabilization_period", because)
