"""The part of a machine that a replica or a container requires."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeResources:
    """The part of a machine that one replica, or one container of it, requires."""

    cpu: float = 0.0
    """Cores."""
    mem: int | None = None
    """Bytes of resident memory, beyond which the replica is killed; None: no limit."""
    gpu: int = 0
    inf: int = 0
    """AWS Inferentia devices."""
    shm: int | None = None
    """Bytes of shared memory at ``/dev/shm``, part of ``mem``; None: what the container runtime gives."""
