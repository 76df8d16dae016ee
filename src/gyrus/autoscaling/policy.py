"""What every way of deciding takes and gives: gyrus's own, and the ones that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen of one API since the last look. Times are seconds since the epoch."""

    now: float
    in_flight: float
    """Requests that have arrived and are not answered, queued and held ones included: the average over the
    time since the last look."""
    busy: float
    """Slots that were taken, the average over the same time. Never above the slots of ready replicas."""
    ready: int
    """Replicas that requests reach."""
    requested: int
    """Replicas that are wanted now."""
    startup: float
    """Seconds from ordering a replica until requests reach it, as measured last."""
    room: int | None = None
    """The most replicas for which there is capacity, the running ones included; None: no limit is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many replicas to have, and why. For people and for metrics, too."""

    at: float
    was: int
    """Replicas that were requested."""
    wanted: int
    """What the traffic asks for, before bounds."""
    replicas: int
    """What to request."""
    rule: str
    """What made ``replicas`` differ from ``wanted``: one stable word (``max_upscale_factor``, ``capacity``,
    ``downscale_stabilization_period``, ``schedule``, …); empty where nothing did."""
    because: str
    """The rule in words with its numbers: ``upscale factor 1.5 from 3``; empty where nothing bound it."""
    inputs: Mapping[str, float] = field(default_factory=dict[str, float])
    """What it was decided upon, by name: ``average``, ``panic_average``, ``forecast``, …"""

    def __str__(self) -> str:
        """
        >>> because = "upscale factor 1.5 from 3"
        >>> str(Decision(at=0, was=3, wanted=7, replicas=4, rule="max_upscale_factor", because=because))
        'desired 7, set to 4: upscale factor 1.5 from 3'
        """
        told = f"desired {self.wanted}, set to {self.replicas}"
        return f"{told}: {self.because}" if self.because else told


class Policy(Protocol):
    """Decides about one API. Keeps its own memory of earlier samples, and never reads a clock."""

    every: float
    """Seconds between two decisions."""

    def decide(self, sample: Sample) -> Decision:
        """Called with samples of growing ``now``."""
        ...
