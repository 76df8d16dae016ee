"""The results of a simulation."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gyrus.simulator.offered_load import OfferedLoad


class SimulatedResult(IntEnum):
    """The result of a request."""

    PENDING = 0
    """Still running; never in a finished run."""
    ANSWERED = 1
    REFUSED = 2
    """503: the queue was full, or no replica became ready while the request could be held."""
    TIMED_OUT = 3
    """504: its timeout passed before the answer."""
    LOST = 4
    """502: its replica was gone before the answer, together with its node."""


class FleetSample(NamedTuple):
    """The API at one decision, with averages over the time since the decision before."""

    at: float
    """Seconds from the first request."""
    in_flight: float
    busy: float
    waiting: int
    """Requests that wait at replicas or are held, at this moment."""
    ready: int
    requested: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An offered load under one policy, from the first arrival until every request had ended."""

    policy: str
    offered_load: OfferedLoad
    timeout: float
    begun: array[float]
    """Time at which each request got a slot, in seconds from the first arrival; NaN if never."""
    outcomes: bytearray
    """A :class:`SimulatedResult` for each request."""
    ended: float
    """Seconds."""
    replica_seconds: float
    """Seconds of all replicas, each from its order until it was gone, or until the end."""
    peak_replicas: int
    """Most replicas at one time, including starting and draining ones."""
    scalings: int
    """Decisions that changed the number of replicas."""
    looks: Sequence[FleetSample]
    """The decisions; of equal ones in a row without traffic, the first and the last."""
