"""What goes beyond the stable number: capacity that is foreseen, or that a burst calls for at once."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.autoscaling.anticipation import Need
from gyrus.autoscaling.bound import Bound, grown, shrunk, whole
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.windows import Extreme
from gyrus.spec.api import Autoscaling
from gyrus.spec.quantities import format_duration


@dataclass(frozen=True, slots=True)
class Surged:
    wanted: int
    bound: Bound


class Surge:
    """Up: at once. Down: soon after a burst, else as slowly as the stable number.

    A need that is ``panic_threshold`` times what there is is a burst, and is over when the need is again that
    many times less than what there is: its replicas go when they have not been needed for as long as it
    takes to have them back. Lesser needs are held for the downscale stabilization period.
    """

    def __init__(self, scaling: Autoscaling) -> None:
        self._recent = Extreme(0.0, highest=True)
        self._held = Extreme(0.0, highest=True)
        self._bursting = False
        self.reconfigure(scaling)

    def reconfigure(self, scaling: Autoscaling) -> None:
        self._scaling = scaling
        self._held.span = scaling.downscale_stabilization_period.total_seconds()

    def follow(self, sample: Sample, need: Need | None, panic: float) -> Surged:
        """In replicas, not rounded: what is foreseen, if anything is; and what the panic window asks for."""
        need = need or self._burst(sample.requested, panic)
        self._recent.span = sample.startup
        recent = whole(self._recent.add(sample.now, need.least))
        held = whole(self._held.add(sample.now, need.calm))
        wanted, present = whole(need.least), sample.requested
        if wanted > present:
            return Surged(wanted, self._up(present, need.least))
        return Surged(wanted, self._down(sample.now, present, recent, held))

    def _burst(self, present: int, panic: float) -> Need:
        threshold = self._scaling.panic_threshold
        if threshold is None:
            self._bursting = False
        elif panic >= threshold * max(present, 1):
            self._bursting = True
        elif panic * threshold <= present:
            self._bursting = False
        return Need(panic, panic) if self._bursting else Need(0.0, 0.0)

    def _up(self, present: int, least: float) -> Bound:
        scaling, wanted = self._scaling, whole(least)
        if scaling.panic_threshold is not None and least >= scaling.panic_threshold * present:
            return Bound(wanted)
        if least < present * (1 + scaling.upscale_tolerance):
            because = f"{least:.2f} is within the tolerance of {scaling.upscale_tolerance:g}"
            return Bound(present, "upscale_tolerance", because)
        return grown(present, wanted, scaling.max_upscale_factor)

    def _down(self, now: float, present: int, recent: int, held: int) -> Bound:
        scaling = self._scaling
        if scaling.panic_threshold is not None and recent * scaling.panic_threshold <= present:
            self._held.forget()
            self._held.add(now, recent)
            return shrunk(present, recent, scaling.max_downscale_factor)
        kept = min(present, max(recent, held))
        period = format_duration(scaling.downscale_stabilization_period)
        because = f"as many were needed within {period}"
        least = shrunk(present, recent, scaling.max_downscale_factor)
        return least.at_least(kept, "downscale_stabilization_period", because)
