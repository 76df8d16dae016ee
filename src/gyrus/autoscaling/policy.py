"""Input and output of every autoscaling policy: gyrus's own and those that are compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One API's traffic and replicas since the last sample. Times are seconds since the epoch."""

    now: float
    in_flight: float
    """Requests that have arrived and are not answered, including queued and held ones; the average over the
    time since the last sample."""
    busy: float
    """Slots in use, the average over the same time. It never exceeds the slots of the ready replicas."""
    ready: int
    """Replicas that requests reach."""
    requested: int
    """Replicas that are requested at present."""
    startup: float
    """Seconds from ordering a replica until requests reach it, as measured last."""
    capacity: int | None = None
    """Replicas for which there is capacity, including the running ones; None if no limit is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A number of replicas and its reasons, also for people and for metrics."""

    at: float
    was: int
    """Replicas that were requested before."""
    wanted: int
    """Replicas that the traffic needs, before any limit."""
    replicas: int
    """Replicas to request."""
    rule: str
    """The rule that made ``replicas`` differ from ``wanted``: one stable word (``max_upscale_factor``,
    ``capacity``, ``downscale_stabilization_period``, ``schedule``, …); empty if they are equal."""
    because: str
    """The rule in words with its numbers: ``upscale factor 1.5 from 3``; empty if they are equal."""
    inputs: Mapping[str, float] = field(default_factory=dict[str, float])
    """The decision's inputs, by name: ``average``, ``panic_average``, ``forecast``, …"""

    def __str__(self) -> str:
        """Describe the decision for the user.

        >>> because = "upscale factor 1.5 from 3"
        >>> str(Decision(at=0, was=3, wanted=7, replicas=4, rule="max_upscale_factor", because=because))
        'desired 7, set to 4: upscale factor 1.5 from 3'
        """
        text = f"desired {self.wanted}, set to {self.replicas}"
        return f"{text}: {self.because}" if self.because else text


class Policy(Protocol):
    """A way to decide about one API. It keeps its own memory of earlier samples and never reads a clock."""

    every: float
    """Seconds between two decisions."""

    def decide(self, sample: Sample) -> Decision:
        """Decide on the number of replicas. ``now`` grows from call to call."""
        ...
