"""The settings of the local backend. Times are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gyrus.aio.backoff import Backoff
from gyrus.backends.local.capacity import Machine
from gyrus.backends.local.machine import cores

RELAUNCH = Backoff(0.5, 60.0)


def _cores() -> int:
    return max(1, math.ceil(cores()))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    machine: Machine | None = None
    """Resources that replicas may use. None means those that the backend finds at its start."""
    overcommit: bool = False
    """True if the CPU and memory that replicas request are not counted."""
    starting_at_once: int = field(default_factory=lambda: _cores() + 1)
    """Replicas that start at the same time. More would only slow each other down."""
    longest_turn: float = 15.0
    """Seconds after which a starting replica no longer holds its permit: then it hardly uses the CPU."""
    building_at_once: int = field(default_factory=_cores)
    """Environments that are built at the same time."""
    kill_margin: float = 5.0
    """Seconds after the grace period, until a supervisor is killed with all its processes."""
    backoff: Backoff = RELAUNCH
    """Delays before a supervisor that died is started again."""
    settled: float = 60.0
    """Seconds of running after which the next death of a supervisor counts as the first."""
    reread: float = 3.0
    """Seconds after which a status is read without a notification."""
    removals: int = 6
    """Attempts to remove what is left of a replica that has ended."""
    unreported: float = 60.0
    """Seconds after which a supervisor that runs and has no readable status is replaced."""
    models: int = 20 * 2**30
    """Bytes that models may take. Those that no replica uses are removed beyond."""
    gone_logs: int = 20
    """Replicas per API whose logs are kept after they are gone."""
