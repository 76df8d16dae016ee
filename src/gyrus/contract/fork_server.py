"""The protocol between the platform and a fork server.

A revision may have one *fork server* (:mod:`gyrus.runtime.fork_server`): a process that has loaded the
handler and waits. Warm replicas are forks of it. Its folder has ``config.json`` (a
:class:`ForkServerConfig`), ``status.json`` (a :class:`ForkServerStatus`) and ``output.log``, the output of
loading the handler.

To order a replica, the operator connects to the fork server's socket (``SOCK_SEQPACKET``) and sends the path
of the replica's ``config.json``. A fork answers with a :class:`ForkReply`. It becomes the replica when it
receives :data:`GO`. It exits if the connection ends first, so that no replica runs without its operator's
knowledge.
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
    """The part of a handler that is loaded before the forks."""

    MODULE = "module"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerConfig:
    name: str
    """``<api>-<revision>``: the datagram that it sends to ``replica.notify`` when its status changes."""
    preload: Preload
    socket: str
    """Path of the socket for orders."""
    replica: ReplicaConfig
    """The configuration that all replicas of the revision share; without an id."""


class ForkServerPhase(StrEnum):
    LOADING = "loading"
    READY = "ready"
    """Ready to accept orders."""
    IMPOSSIBLE = "impossible"
    """Exited: ``because`` states why this revision cannot be forked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerStatus:
    """A fork server's report about itself."""

    phase: ForkServerPhase
    pid: int
    because: str = ""
    """The reason if it is impossible: a clause for the user, without a full stop."""
    memory: int = 0
    """Resident bytes once the handler is loaded. Forks share the pages that they do not change."""
    loaded_in: float = 0.0
    """Seconds that loading took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkReply:
    """A fork's answer to an order."""

    pid: int = 0
    refused: str = ""
    """The reason for not becoming the replica, after which the fork exits; empty if it will."""
