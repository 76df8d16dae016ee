"""The protocol between the platform and a fork server.

A revision may have one *fork server* (:mod:`gyrus.runtime.fork_server`): a process that has loaded the
handler and waits. Warm replicas are forks of it. Its folder has ``config.json`` (a
:class:`ForkServerConfig`), ``status.json`` (a :class:`ForkServerStatus`) and ``output.log``, the output of
its loading.

To order a replica, connect to its socket (``SOCK_SEQPACKET``) and send the path of the replica's
``config.json``. A fork answers with a :class:`ForkReply`. It becomes the replica when it receives :data:`GO`,
and exits when the connection ends first, so that no replica runs without its operator's knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gyrus.contract.replica import ReplicaConfig

OUTPUT_FILE = "output.log"
GO = b"go"
LONGEST_WORD = 4096
"""Bytes of one message."""


class Preload(StrEnum):
    """How far a handler is loaded before the forks."""

    MODULE = "module"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerConfig:
    name: str
    """``<api>-<revision>``: sent to ``replica.notify`` when the status has changed."""
    preload: Preload
    socket: str
    """Where orders come."""
    replica: ReplicaConfig
    """What all replicas of the revision have in common; without an id."""


class ForkServerPhase(StrEnum):
    LOADING = "loading"
    READY = "ready"
    """It takes orders."""
    IMPOSSIBLE = "impossible"
    """It has ended: ``because`` says why there can be no forks of this revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerStatus:
    """What a parked process says of itself."""

    phase: ForkServerPhase
    pid: int
    because: str = ""
    """Why not: a clause for the user, without a full stop."""
    memory: int = 0
    """Bytes that are resident once it is parked. Forks share what they do not change."""
    loaded_in: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkReply:
    """How a fork answers its order."""

    pid: int = 0
    refused: str = ""
    """Why it does not become that replica; it has ended."""
