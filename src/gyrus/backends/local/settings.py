"""What may be set about the local backend. Times in seconds."""

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
    """What replicas may use. None: what is found when the backend begins."""
    overcommit: bool = False
    """Do not count the CPU and memory that replicas ask for."""
    starting_at_once: int = field(default_factory=lambda: _cores() + 1)
    """Replicas that start at the same time; more would only make each other slow."""
    longest_turn: float = 15.0
    """How long a starting replica keeps others waiting: one that loads for longer hardly computes."""
    building_at_once: int = field(default_factory=_cores)
    kill_margin: float = 5.0
    """What a supervisor gets beyond the grace period before it is killed with all its processes."""
    backoff: Backoff = RELAUNCH
    """Before a supervisor that died is started again."""
    settled: float = 60.0
    """A supervisor that ran for so long has been well: its next death counts as the first."""
    reread: float = 3.0
    """Between two looks at a status nobody told us about."""
    gone_logs: int = 20
    """Replicas per API whose logs are kept after they are gone."""
