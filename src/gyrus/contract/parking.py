"""A parked process, as the platform sees it, and what is said between the two.

Of a revision there may be one *parked* process (:mod:`gyrus.runtime.parking`), which has loaded the handler
and waits. A replica is a fork of it. Its folder holds ``config.json`` (a :class:`ParkingConfig`),
``status.json`` (a :class:`Parked`) and ``output.log``, what was printed while it loaded.

To order a replica, connect to its socket (``SOCK_SEQPACKET``) and send the path of the replica's
``config.json``. What answers is a fork, with a :class:`Born`. It lives on when it is sent :data:`GO`, and
ends when the connection does: so a replica runs only if whoever ordered it knows of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gyrus.contract.replica import ReplicaConfig

OUTPUT_FILE = "output.log"
GO = b"go"
LONGEST_WORD = 4096
"""Bytes of one message."""


class Loads(StrEnum):
    """How far a handler is loaded before the forks."""

    MODULE = "module"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkingConfig:
    name: str
    """``<api>-<revision>``: sent to ``replica.notify`` when the status has changed."""
    loads: Loads
    socket: str
    """Where orders come."""
    replica: ReplicaConfig
    """What all replicas of the revision have in common; without an id."""


class ParkedPhase(StrEnum):
    LOADING = "loading"
    PARKED = "parked"
    """It takes orders."""
    IMPOSSIBLE = "impossible"
    """It has ended: ``because`` says why there can be no forks of this revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """What a parked process says of itself."""

    phase: ParkedPhase
    pid: int
    because: str = ""
    """Why not: a clause for the user, without a full stop."""
    memory: int = 0
    """Bytes that are resident once it is parked. Forks share what they do not change."""
    loaded_in: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Born:
    """How a fork answers its order."""

    pid: int = 0
    refused: str = ""
    """Why it does not become that replica; it has ended."""
