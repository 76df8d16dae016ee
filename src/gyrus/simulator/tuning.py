"""A search for the autoscaling settings that meet an objective at the least cost, by simulating them.

Each setting has a ladder of values, including the present one. The search begins with a coarse grid over the
settings that matter most, continues with steps up and down from its best few, and repeats these on finer
ladders. It is deterministic.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any

from gyrus.simulator.baselines import PolicyContext, make
from gyrus.simulator.engine import simulate
from gyrus.simulator.figures import Figures, of_run
from gyrus.simulator.load import concurrency
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.spec.quantities import format_duration
from gyrus.spec.realtime import RealtimeSpec

EVENTS = 6_000_000
"""Most simulated requests and decisions of one search."""
LEAST_TRIALS, MOST_TRIALS = 24, 240
STARTS = 4
"""The coarse grid's best points from which the search continues."""
FINER = 2
"""Number of times that the ladders are refined."""

SPANS = {
    "window": (5, 10, 20, 30, 60, 120),
    "upscale_stabilization_period": (0, 10, 30, 60, 120),
    "downscale_stabilization_period": (30, 60, 120, 300, 600),
}
"""Seconds, by setting."""
TARGETS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0)
"""Shares of the slots."""
THRESHOLDS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995, 1.0)

Settings = Mapping[str, Any]
"""Fields of ``autoscaling`` by name."""


OnTrial = Callable[[int, int, float], None]
"""A callback with the number of tried settings, their limit, and the done share of the present one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """At most ``allowed`` (a share) of the requests may miss ``slo`` (as in :func:`of_run`)."""

    slo: float | None
    allowed: float

    def rank(self, figures: Figures) -> tuple[float, float]:
        """Return the rank; less is better. First the share above ``allowed`` counts, then the cost."""
        return max(0.0, figures.slo_miss_ratio - self.allowed), figures.replica_seconds

    def met(self, figures: Figures) -> bool:
        return figures.slo_miss_ratio <= self.allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The result of a search."""

    spec: RealtimeSpec
    """The API with the best settings."""
    best: Figures
    present: Figures
    """Figures with the present settings."""
    met: bool
    """True if the best settings meet the goal."""
    changes: Settings
    """The fields that differ from the present ones, in the YAML's notation."""
    tried: int


@dataclass(slots=True)
class _Search:
    spec: RealtimeSpec
    offered_load: OfferedLoad
    rules: ServingRules
    goal: Goal
    on_progress: OnTrial
    tried: dict[tuple[Any, ...], Figures] = field(default_factory=dict[tuple[Any, ...], Figures])

    @property
    def most(self) -> int:
        decisions = int(self.offered_load.arrivals[-1])
        return min(MOST_TRIALS, max(LEAST_TRIALS, EVENTS // (len(self.offered_load) + 2 * decisions)))

    @property
    def over(self) -> bool:
        return len(self.tried) >= self.most

    def figures(self, settings: Settings) -> Figures:
        key = tuple(settings.values())
        if key not in self.tried:
            spec = with_settings(self.spec, settings)
            startup = self.rules.startup.typical
            policy = make("gyrus", PolicyContext(spec=spec, offered_load=self.offered_load, startup=startup))
            rules = ServingRules.of(spec, self.rules.startup, self.rules.seed)
            done, most = len(self.tried), self.most
            run = simulate(
                self.offered_load, rules, policy, "gyrus", lambda share: self.on_progress(done, most, share)
            )
            self.tried[key] = of_run(run, self.goal.slo)
            self.on_progress(done + 1, most, 0.0)
        return self.tried[key]

    def rank(self, settings: Settings) -> tuple[float, float]:
        """Return the rank; less is better. Settings that can no longer be tried are the worst."""
        if self.over and tuple(settings.values()) not in self.tried:
            return math.inf, math.inf
        return self.goal.rank(self.figures(settings))


Ladders = dict[str, list[Any]]


def tune(
    spec: RealtimeSpec,
    offered_load: OfferedLoad,
    rules: ServingRules,
    goal: Goal,
    on_progress: OnTrial,
) -> Tuned:
    """Search for the best settings."""
    search = _Search(spec, offered_load, rules, goal, on_progress)
    ladders = _ladders(spec, offered_load)
    present = {name: getattr(spec.autoscaling, name) for name in ladders}
    present["target_in_flight"] = spec.target_in_flight
    starts = sorted((present, *_coarse(ladders, present)), key=search.rank)[:STARTS]
    best = min((_climb(search, ladders, start) for start in starts), key=search.rank)
    for _ in range(FINER):
        ladders = {name: _finer(values, best[name]) for name, values in ladders.items()}
        best = _climb(search, ladders, best)
    changed = {name: value for name, value in best.items() if value != present[name]}
    return Tuned(
        spec=with_settings(spec, changed),
        best=search.figures(best),
        present=search.figures(present),
        met=goal.met(search.figures(best)),
        changes={name: _written(value) for name, value in changed.items()},
        tried=len(search.tried),
    )


def with_settings(spec: RealtimeSpec, settings: Settings) -> RealtimeSpec:
    """Return the same API with other autoscaling settings."""
    return spec.model_copy(update={"autoscaling": spec.autoscaling.model_copy(update=dict(settings))})


def _ladders(spec: RealtimeSpec, offered_load: OfferedLoad) -> Ladders:
    scaling, slots = spec.autoscaling, spec.slots or 1
    spans = {name: [timedelta(seconds=value) for value in values] for name, values in SPANS.items()}
    ladders: Ladders = {
        "target_in_flight": [slots * share for share in TARGETS],
        "min_replicas": _minimums(spec, offered_load),
        **spans,
        "panic_threshold": list(THRESHOLDS),
    }
    present = {name: getattr(scaling, name) for name in ladders} | {"target_in_flight": spec.target_in_flight}
    for name, values in ladders.items():
        if present[name] is not None and present[name] not in values:
            values.insert(bisect_left(values, present[name]), present[name])
    return ladders


def _minimums(spec: RealtimeSpec, offered_load: OfferedLoad) -> list[int]:
    """Return the least allowed minimum, and those that carry the load for each of ``SHARES`` of the time."""
    least = 1 if spec.process and spec.process.protocol == "http2" else 0
    load = sorted(concurrency(offered_load, 1.0))
    needed = (math.ceil(load[int(share * (len(load) - 1))] / (spec.slots or 1)) for share in SHARES)
    return sorted({least, *(min(max(least, number), spec.autoscaling.max_replicas) for number in needed)})


def _coarse(ladders: Ladders, present: Settings) -> Iterator[Settings]:
    """Yield a grid: four values of the two settings that matter most, and two of the third."""
    parts = {
        "target_in_flight": _spread(ladders["target_in_flight"], 4),
        "min_replicas": _spread(ladders["min_replicas"], 4),
        "panic_threshold": _spread(ladders["panic_threshold"], 2),
    }
    for values in product(*parts.values()):
        yield {**present, **dict(zip(parts, values, strict=True))}


def _spread(values: Sequence[Any], number: int) -> list[Any]:
    """Return ``number`` evenly spread values: the middles of equal parts."""
    number = min(number, len(values))
    return [values[(2 * part + 1) * len(values) // (2 * number)] for part in range(number)]


def _climb(search: _Search, ladders: Ladders, best: Settings) -> Settings:
    """Change one setting at a time, step by step, until no step is better."""
    while True:
        before = best
        for name, values in ladders.items():
            for settings in _neighbours(best, name, values):
                best = min(best, settings, key=search.rank)  # min() keeps the first of equally good ones
        if best is before:
            return best


def _neighbours(settings: Settings, name: str, values: Sequence[Any]) -> Iterator[Settings]:
    present = settings[name]
    if present is None:
        return
    place = bisect_left(values, present)
    for other in (place - 1, place + 1, place - 2, place + 2):
        if 0 <= other < len(values):
            yield {**settings, name: values[other]}


def _finer(values: Sequence[Any], around: Any) -> list[Any]:
    """Return the value and the middles between it and its neighbours."""
    if around is None:
        return list(values)
    place = bisect_left(values, around)
    beside = [values[other] for other in (place - 1, place + 1) if 0 <= other < len(values)]
    return sorted({around, *(_middle(around, other) for other in beside)})


def _middle(one: Any, other: Any) -> Any:
    if isinstance(one, timedelta):
        return timedelta(seconds=round((one + other).total_seconds() / 2))
    return (one + other) // 2 if isinstance(one, int) else round((one + other) / 2, 3)


def _written(value: Any) -> Any:
    return format_duration(value) if isinstance(value, timedelta) else value
