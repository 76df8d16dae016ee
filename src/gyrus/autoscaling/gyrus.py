"""How gyrus decides: Cortex's rules, and on top of them what is foreseen and what bursts in.

The reasons are in ``docs/guides/autoscaling.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.autoscaling.anticipation import Anticipation, Need
from gyrus.autoscaling.bound import Bound, whole
from gyrus.autoscaling.policy import Decision, Policy, Sample
from gyrus.autoscaling.schedule import Schedule
from gyrus.autoscaling.stable import Stable
from gyrus.autoscaling.surge import Surge, Surged
from gyrus.autoscaling.windows import Average
from gyrus.spec.api import ApiSpec
from gyrus.spec.quantities import format_duration

QUEUED = 2.0
"""The load counts up to so many times the slots that there are: the rest is a queue, worked off once."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """In replicas, not rounded."""

    average: float
    panic: float
    need: Need | None


class GyrusPolicy(Policy):
    """One API's. Goes on with all that it has learned when the specification changes."""

    every = 1.0

    def __init__(self, spec: ApiSpec) -> None:
        self._average = Average(0.0)
        self._panic = Average(0.0)
        self._anticipation = Anticipation()
        self._surge = Surge(spec.autoscaling)
        self._stable: Stable | None = None
        self._active: float | None = None
        """When something was in flight last, or else when looking began."""
        self.reconfigure(spec)

    def reconfigure(self, spec: ApiSpec) -> None:
        """Another revision of the same API: decide by its settings from now on."""
        scaling = self._scaling = spec.autoscaling
        self._target = spec.target_in_flight
        self._average.span = scaling.window.total_seconds()
        self._panic.span = scaling.panic_window.total_seconds()
        self._schedule = Schedule(scaling.schedule)
        self._surge.reconfigure(scaling)
        if self._stable:
            self._stable.reconfigure(scaling)

    def decide(self, sample: Sample) -> Decision:
        if self._stable is None:
            self._stable = Stable(self._scaling, sample.requested)
        seen = self._look(sample)
        stable = self._stable.follow(sample.now, seen.average)
        surged = self._surge.follow(sample, seen.need, seen.panic)
        wanted = max(whole(seen.average), surged.wanted)
        bound = self._bounded(sample, _joined(stable, surged, wanted))
        bound = Bound(bound.replicas) if bound.replicas == wanted else bound
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=wanted,
            replicas=bound.replicas,
            rule=bound.rule,
            because=bound.because,
            inputs=self._inputs(sample, seen),
        )

    def _look(self, sample: Sample) -> _Seen:
        if sample.in_flight > 0 or self._active is None:
            self._active = sample.now
        average = self._average.add(sample.now, sample.in_flight)
        panic = self._panic.add(sample.now, sample.in_flight)
        looks_like = max(sample.in_flight, panic)
        load = min(sample.in_flight, QUEUED * max(sample.ready, 1) * self._target)
        self._anticipation.learn(sample, looks_like / self._target, load / self._target)
        foresees = self._scaling.forecast
        need = self._anticipation.foresee(sample, looks_like / self._target, average / self._target)
        return _Seen(average / self._target, panic / self._target, need if foresees else None)

    def _bounded(self, sample: Sample, bound: Bound) -> Bound:
        """What holds whatever the traffic is: the later rule outweighs the earlier."""
        scaling, least, most = self._scaling, self._scaling.min_replicas, self._scaling.max_replicas
        bound = self._awake(sample, bound)
        bound = bound.at_least(least, "min_replicas", f"min_replicas is {least}")
        if turn := self._schedule.at(sample.now):
            bound = bound.at_least(turn.line.min_replicas, "schedule", str(turn))
        bound = bound.at_most(most, "max_replicas", f"max_replicas is {scaling.max_replicas}")
        if sample.room is not None:
            because = f"there is room for {sample.room} only"
            bound = bound.at_most(sample.room, "capacity", because)
        return bound

    def _awake(self, sample: Sample, bound: Bound) -> Bound:
        """The last replica goes only when nothing was in flight for the whole period."""
        period = self._scaling.downscale_stabilization_period
        quiet = sample.now - (self._active if self._active is not None else sample.now)
        if sample.in_flight > 0:
            return bound.at_least(1, "in_flight", "a request is in flight")
        if sample.requested and quiet < period.total_seconds():
            because = f"idle for {quiet:.0f}s, not yet for {format_duration(period)}"
            return bound.at_least(1, "downscale_stabilization_period", because)
        return bound

    def _inputs(self, sample: Sample, seen: _Seen) -> dict[str, float]:
        inputs = {
            "average": seen.average * self._target,
            "panic_average": seen.panic * self._target,
            "target_in_flight": self._target,
            "recommendation": seen.average,
            "startup": sample.startup,
        }
        if seen.need:
            inputs["forecast"] = seen.need.least * self._target
        return inputs


def _joined(stable: Bound, surged: Surged, wanted: int) -> Bound:
    """The higher number, with the rule that keeps it from being what is wanted."""
    surge = surged.bound
    higher = surge if surge.replicas > stable.replicas else stable
    if higher.replicas >= wanted:
        return higher
    rule = surge if surged.wanted == wanted and surge.rule else stable
    return Bound(higher.replicas, rule.rule, rule.because)
