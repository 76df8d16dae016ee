"""The figures of a run: waits, latencies, misses and cost. Simulations and replays share them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gyrus.simulator.run import Run, SimulatedResult

SLO_FACTOR = 2.0
"""Times the request's own service time. A latency above it is a miss, unless an objective is given."""

_PRICE = re.compile(r"[$€£]?(\d+(?:\.\d+)?)(?:/(s|m|min|h|d))?", re.ASCII)
_HOURS = {"s": 1 / 3600, "m": 1 / 60, "min": 1 / 60, "h": 1.0, "d": 24.0}


class Percentiles(NamedTuple):
    """Percentiles in seconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles | None:
        """Compute the percentiles; each is one of the values. Returns None if there are no values.

        >>> Percentiles.of(range(1, 101))
        Percentiles(p50=50, p95=95, p99=99)
        """
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(*(ordered[math.ceil(share * len(ordered)) - 1] for share in (0.50, 0.95, 0.99)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One policy's row of the report. Times in seconds."""

    policy: str
    requests: int
    answered: int
    refused: int
    timed_out: int
    failed: int = 0
    """Requests that ended in another way. In a simulation: those whose replica was lost with its node."""
    slo_misses: int
    """Requests that were refused, timed out, failed, or were later than the objective."""
    wait: Percentiles | None
    """Wait for a slot, of all requests that were not refused; None if unknown."""
    latency: Percentiles | None
    """Latency of the same requests; a timed-out one counts with its timeout. None if there are none."""
    replica_seconds: float
    price: float | None
    """Price of one replica for an hour."""
    peak_replicas: int
    scalings: int
    """Changes of the number of requested replicas."""

    @property
    def slo_miss_ratio(self) -> float:
        return self.slo_misses / self.requests if self.requests else 0.0

    @property
    def replica_hours(self) -> float:
        return self.replica_seconds / 3600

    @property
    def cost(self) -> float | None:
        return None if self.price is None else self.price * self.replica_hours

    def data(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return {
            "policy": self.policy,
            "replica_hours": self.replica_hours,
            "replica_seconds": self.replica_seconds,
            "cost": self.cost,
            "slo_misses": self.slo_misses,
            "slo_miss_ratio": self.slo_miss_ratio,
            **_named("wait", self.wait),
            **_named("latency", self.latency),
            "answered": self.answered,
            "refused": self.refused,
            "timed_out": self.timed_out,
            "failed": self.failed,
            "peak_replicas": self.peak_replicas,
            "scalings": self.scalings,
        }


def of_run(run: Run, slo: float | None = None, price: float | None = None) -> Figures:
    """Compute the figures of a run.

    ``slo`` is the longest latency in seconds; None means :data:`SLO_FACTOR` times each request's service
    time.
    """
    waits, latencies, missed = _times(run, slo)
    count = run.outcomes.count
    return Figures(
        policy=run.policy,
        requests=len(run.offered_load),
        answered=count(SimulatedResult.ANSWERED),
        refused=count(SimulatedResult.REFUSED),
        timed_out=count(SimulatedResult.TIMED_OUT),
        failed=count(SimulatedResult.LOST),
        slo_misses=missed,
        wait=Percentiles.of(waits),
        latency=Percentiles.of(latencies),
        replica_seconds=run.replica_seconds,
        price=price,
        peak_replicas=run.peak_replicas,
        scalings=run.scalings,
    )


def misses(run: Run, slo: float | None = None) -> int:
    return _times(run, slo)[2]


def _times(run: Run, slo: float | None) -> tuple[list[float], list[float], int]:
    """Return the waits and latencies of the requests that were not refused or lost, and the misses."""
    waits: list[float] = []
    latencies: list[float] = []
    missed = 0
    unserved, answered = (SimulatedResult.REFUSED, SimulatedResult.LOST), SimulatedResult.ANSWERED
    timeout = run.timeout
    work = run.offered_load
    for outcome, begun, arrival, service in zip(
        run.outcomes, run.begun, work.arrivals, work.services, strict=True
    ):
        if outcome in unserved:
            missed += 1
            continue
        wait = begun - arrival
        waits.append(min(timeout, wait))  # NaN if it never started: min() then returns the timeout
        latency = wait + service if outcome == answered else timeout
        latencies.append(latency)
        if outcome != answered or latency > _objective(slo, service):
            missed += 1
    return waits, latencies, missed


def _objective(slo: float | None, service: float) -> float:
    """Return the longest latency without a miss; a rounding error above it does not count."""
    return (SLO_FACTOR * service if slo is None else slo) + 1e-9


def parse_price(text: str) -> float:
    """Parse the price of one replica into a price per hour: ``0.526/h``.

    Raises ValueError, whose text continues a sentence that begins with the value.

    >>> parse_price("12/d"), parse_price("0.5")
    (0.5, 0.5)
    """
    match = _PRICE.fullmatch(text.strip())
    if not match:
        raise ValueError("is not a price; write for example 0.526/h")
    return float(match[1]) / _HOURS[match[2] or "h"]


def report(trace: str, figures: Sequence[Figures], slo: float | None) -> dict[str, Any]:
    """Return the report as JSON. ``slo`` is null for :data:`SLO_FACTOR` times the service time."""
    return {
        "trace": trace,
        "requests": figures[0].requests if figures else 0,
        "slo": slo,
        "policies": [each.data() for each in figures],
    }


def _named(what: str, percentiles: Percentiles | None) -> dict[str, float | None]:
    values = percentiles or (None, None, None)
    return {f"{name}_{what}": value for name, value in zip(("p50", "p95", "p99"), values, strict=True)}
