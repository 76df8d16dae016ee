"""The parts of a workload, built from the parts of a specification. Pure."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Literal

from gyrus.contract.fork_server import Preload
from gyrus.contract.replica import HandlerConfig, Limits, ProcessConfig
from gyrus.contract.workload import Code, ComputeResources
from gyrus.spec.api import Compute, Handler, Process

WarmStart = Literal["off", "module", "model"]

START_TIMEOUT = 600.0
"""Seconds within which a process must be ready after its start."""
DRAIN_ALLOWANCE = 30.0
"""Seconds that a draining process gets beyond its API's request timeout."""


def compute_of(compute: Compute) -> ComputeResources:
    return ComputeResources(cpu=compute.cpu, mem=compute.mem, gpu=compute.gpu)


def code_of(
    package: str | None,
    *,
    handler: Handler | None = None,
    process: Process | None = None,
    warm_start: WarmStart = "off",
) -> Code:
    """Return the program. ``package``: digest of the archive with the project."""
    return Code(
        package=package,
        handler=_handler(handler) if handler else None,
        process=_process(process) if process else None,
        processes=handler.processes if handler else 1,
        preload=None if warm_start == "off" else Preload(warm_start),
    )


def _handler(handler: Handler) -> HandlerConfig:
    batching = handler.batching
    return HandlerConfig(
        path=handler.path,
        config=handler.config,
        batch_max_size=batching.max_size if batching else 1,
        batch_max_wait=_seconds(batching.max_wait) if batching else 0.0,
    )


def _seconds(wait: timedelta | Literal["auto"]) -> float | None:
    return wait.total_seconds() if isinstance(wait, timedelta) else None


def _process(process: Process) -> ProcessConfig:
    return ProcessConfig(command=process.command, ready_path=process.ready.path if process.ready else None)


def limits_of(slots: int | None, queue: int, timeout: timedelta, processes: int) -> Limits:
    """Return the limits of one process of a replica that has these slots and this queue.

    All processes together never have more slots than the replica. Each has a queue if the replica has one.
    """
    return Limits(
        max_concurrency=None if slots is None else max(1, slots // processes),
        max_queue_length=math.ceil(queue / processes),
        timeout=timeout.total_seconds(),
    )
