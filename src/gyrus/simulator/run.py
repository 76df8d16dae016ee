"""What a rehearsal brought to light."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gyrus.simulator.workload import Workload


class SimulatedResult(IntEnum):
    """How a request ended."""

    PENDING = 0
    """It has not. Never in a run that is over."""
    ANSWERED = 1
    REFUSED = 2
    """503: the queue was full, or no replica came while it could be held."""
    TIMED_OUT = 3
    """504: its time was over before the answer."""


class FleetSample(NamedTuple):
    """The API at one decision: averages over the time since the one before."""

    at: float
    """Seconds from the first request."""
    in_flight: float
    busy: float
    waiting: int
    """Requests at replicas without a slot, and held ones; at this moment."""
    ready: int
    requested: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A workload under one policy, from the first arrival until every request had ended."""

    policy: str
    workload: Workload
    timeout: float
    begun: array[float]
    """When each request was given a slot, in seconds from the first arrival; NaN: never."""
    outcomes: bytearray
    """An :class:`SimulatedResult` for each request."""
    ended: float
    """Seconds."""
    replica_seconds: float
    """Of all replicas, each from its order until it was gone, or until the end."""
    peak_replicas: int
    """The most at a time, starting and draining ones included."""
    scalings: int
    """Decisions that changed the number of replicas."""
    looks: Sequence[FleetSample]
