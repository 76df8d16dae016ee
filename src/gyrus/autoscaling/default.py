"""The default policy: Cortex's rules, plus a forecast and a fast reaction to bursts.

The reasons are in ``docs/guides/autoscaling.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.autoscaling.burst import BurstDemand, BurstScaler
from gyrus.autoscaling.forecast import Forecast, Forecaster
from gyrus.autoscaling.memory import PolicyMemory, RecentMemory
from gyrus.autoscaling.policy import Decision, Policy, Sample
from gyrus.autoscaling.recommendation import Recommendation, whole
from gyrus.autoscaling.schedule import Schedule
from gyrus.autoscaling.stable import Stable
from gyrus.autoscaling.windows import Average
from gyrus.spec.quantities import format_duration
from gyrus.spec.replicated import Scaling

FRESH = 30.0
"""Seconds. After a longer time without samples, a memory's recent past is no guide to the present."""
QUEUED = 1.1
"""Times the requested replicas. Load above this does not count as experience: it is a queue that they work
off."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The traffic in replicas, not rounded."""

    load: float
    """The present load."""
    average: float
    """Average over the window."""
    steady: float
    """Average over the window, with bursts counted only up to the panic threshold."""
    panic: float
    """Average over the panic window."""
    need: Forecast | None
    """The forecast; None if there is none."""
    idle: bool
    """True if no request was in flight for the whole downscale stabilization period."""


class DefaultPolicy(Policy):
    """The policy of one API. It keeps all that it has learned when the specification changes."""

    every = 1.0

    def __init__(self, scaling: Scaling) -> None:
        self._average = Average(0.0)
        self._steady = Average(0.0)
        self._panic = Average(0.0)
        self._forecaster = Forecaster()
        self._burst = BurstScaler(scaling.settings)
        self._stable: Stable | None = None
        self._active: float | None = None
        """Time of the last request in flight, or else of the first sample."""
        self._at: float | None = None
        """Time of the last sample."""
        self.reconfigure(scaling)

    def reconfigure(self, scaling: Scaling) -> None:
        """Use the settings of another revision of the same API from now on."""
        settings = self._settings = scaling.settings
        self._target = scaling.target_in_flight
        self._average.span = self._steady.span = settings.window.total_seconds()
        self._panic.span = settings.panic_window.total_seconds()
        self._schedule = Schedule(settings.schedule)
        self._burst.reconfigure(settings)
        if self._stable:
            self._stable.reconfigure(settings)

    def memory(self) -> PolicyMemory | None:
        """Return all that the policy knows. Returns None before its first sample."""
        if self._stable is None or self._at is None or self._active is None:
            return None
        return PolicyMemory(
            at=self._at,
            active=self._active,
            season=self._forecaster.season.memory(),
            lead_time=self._forecaster.lead_time.memory(),
            recent=RecentMemory(
                average=self._average.memory(),
                steady=self._steady.memory(),
                panic=self._panic.memory(),
                trend=self._forecaster.trend.memory(),
                stable=self._stable.memory(),
                burst=self._burst.memory(),
            ),
        )

    def recall(self, memory: PolicyMemory, now: float) -> None:
        """Continue from this memory, before the first sample.

        After a longer time without samples (or if the clock was set back), the recent past is left out:
        traffic that was not seen must not count as silence.
        """
        self._forecaster.season.recall(memory.season)
        self._forecaster.lead_time.recall(memory.lead_time)
        if 0 <= now - memory.at <= FRESH:
            self._recall_recent(memory, memory.recent)
        else:
            self._forecaster.lead_time.resume(now)

    def _recall_recent(self, memory: PolicyMemory, recent: RecentMemory) -> None:
        self._at, self._active = memory.at, memory.active
        self._average.recall(recent.average)
        self._steady.recall(recent.steady)
        self._panic.recall(recent.panic)
        self._forecaster.trend.recall(recent.trend)
        self._burst.recall(recent.burst)
        self._stable = Stable(self._settings, recent.stable.replicas)
        self._stable.recall(recent.stable)

    def decide(self, sample: Sample) -> Decision:
        self._at = sample.now
        if self._stable is None:
            self._stable = Stable(self._settings, sample.requested)
        seen = self._look(sample, self._stable.replicas)
        if seen.idle:
            self._stable.rest()
            self._burst.rest()
        stable = self._stable.follow(sample.now, seen.steady)
        demand = self._burst.follow(sample, seen.need, seen.panic, seen.load)
        wanted = max(whole(seen.average), demand.wanted)
        recommendation = self._bounded(sample, self._joined(stable, demand, wanted), wanted)
        kept = recommendation.replicas == wanted
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=wanted,
            replicas=recommendation.replicas,
            rule="" if kept else recommendation.rule,
            because="" if kept else recommendation.because,
            inputs=self._inputs(sample, seen, stable.replicas),
        )

    def _look(self, sample: Sample, stable: int) -> _Seen:
        if sample.in_flight > 0 or self._active is None:
            self._active = sample.now
        target, threshold, load = self._target, self._settings.panic_threshold, sample.in_flight
        average = self._average.add(sample.now, load)
        unsurprising = load if threshold is None else min(load, threshold * max(stable, 1) * target)
        steady = self._steady.add(sample.now, unsurprising)
        panic = self._panic.add(sample.now, load)
        worked_at = min(load, QUEUED * max(sample.requested, 1) * target)
        self._forecaster.learn(sample, worked_at)
        idle = (
            self._quiet(sample) >= self._settings.downscale_stabilization_period.total_seconds() and not load
        )
        need = self._foresee(sample, worked_at, average, idle) if self._settings.forecast else None
        return _Seen(
            load=load / target,
            average=0.0 if idle else average / target,
            steady=0.0 if idle else steady / target,
            panic=panic / target,
            need=need and need.over(target),
            idle=idle,
        )

    def _foresee(self, sample: Sample, load: float, average: float, idle: bool) -> Forecast | None:
        if idle:
            return self._forecaster.foresee_waking(sample)
        return self._forecaster.foresee(sample, load, average)

    def _quiet(self, sample: Sample) -> float:
        """Return the seconds since the last request in flight."""
        return 0.0 if self._active is None else sample.now - self._active

    def _joined(self, stable: Recommendation, demand: BurstDemand, wanted: int) -> Recommendation:
        """Return the higher number, with the rule that keeps it below the desired one."""
        fast = demand.recommendation
        higher = fast if fast.replicas > stable.replicas else stable
        if higher.replicas >= wanted:
            return higher
        rule = fast if demand.wanted == wanted and fast.rule else stable
        if rule.rule:
            return Recommendation(higher.replicas, rule.rule, rule.because)
        window = format_duration(self._settings.window)
        because = f"the average of {window} counts a burst up to {self._settings.panic_threshold:g} times"
        return Recommendation(higher.replicas, "panic_threshold", f"{because} the stable {stable.replicas}")

    def _bounded(self, sample: Sample, recommendation: Recommendation, wanted: int) -> Recommendation:
        """Apply the limits that hold for any traffic. Each rule overrides those before it.

        A minimum or maximum is the reason even where an earlier rule gives the same number, because that
        number stays when the earlier rule's effect ends.

        The minima override the capacity: required replicas are requested even without capacity, and wait in
        the machine's queue.
        """
        least, most = self._settings.min_replicas, self._settings.max_replicas
        recommendation = self._awake(sample, recommendation)
        if sample.capacity is not None:
            recommendation = recommendation.at_most(
                sample.capacity, "capacity", f"there is capacity for {sample.capacity} only"
            )
        recommendation = recommendation.bounded_below(
            least, wanted, "min_replicas", f"min_replicas is {least}"
        )
        if turn := self._schedule.at(sample.now):
            recommendation = recommendation.bounded_below(
                turn.line.min_replicas, wanted, "schedule", str(turn)
            )
        return recommendation.bounded_above(most, wanted, "max_replicas", f"max_replicas is {most}")

    def _awake(self, sample: Sample, recommendation: Recommendation) -> Recommendation:
        """Keep a replica while requests are in flight, and until none was for the whole period."""
        if sample.in_flight > 0:
            return recommendation.at_least(1, "in_flight", "a request is in flight")
        period = self._settings.downscale_stabilization_period
        quiet = self._quiet(sample)
        if sample.requested and quiet < period.total_seconds():
            because = f"idle for {quiet:.0f}s, not yet for {format_duration(period)}"
            return recommendation.at_least(1, "downscale_stabilization_period", because)
        return recommendation

    def _inputs(self, sample: Sample, seen: _Seen, stable: int) -> dict[str, float]:
        """Return the decision's inputs: loads in requests in flight, the rest in replicas and seconds."""
        inputs = {
            "in_flight": sample.in_flight,
            "average": seen.average * self._target,
            "panic_average": seen.panic * self._target,
            "recommendation": seen.average,
            "stable": float(stable),
            "startup": sample.startup,
        }
        if seen.need:
            inputs["forecast"] = seen.need.least * self._target
        return inputs
