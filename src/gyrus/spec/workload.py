"""The workload of an API, built from its specification. Pure."""

from __future__ import annotations

import math

from gyrus.contract.fork_server import Preload
from gyrus.contract.replica import HandlerConfig, Limits, ProcessConfig
from gyrus.contract.workload import Code, ComputeResources, Workload, WorkloadEnvironment
from gyrus.spec.api import Compute, Handler, Process
from gyrus.spec.realtime import RealtimeSpec

START_TIMEOUT = 600.0
"""Seconds within which a process must be ready after its start."""
DRAIN_ALLOWANCE = 30.0
"""Seconds that a draining process gets beyond its API's request timeout."""


def workload_of(spec: RealtimeSpec, package: str | None) -> Workload:
    """Return the workload of this API's replicas. ``package``: digest of the archive with the project."""
    source = spec.handler or spec.process
    return Workload(
        code=_code(spec, package),
        compute=compute_of(spec.compute),
        environment=WorkloadEnvironment(
            requirements=source.requirements if source else None, variables=dict(spec.env)
        ),
        limits=_limits(spec),
        start_timeout=START_TIMEOUT,
        grace=spec.timeout.total_seconds() + DRAIN_ALLOWANCE,
    )


def compute_of(compute: Compute) -> ComputeResources:
    return ComputeResources(cpu=compute.cpu, mem=compute.mem, gpu=compute.gpu)


def _code(spec: RealtimeSpec, package: str | None) -> Code:
    return Code(
        package=package,
        handler=_handler(spec.handler) if spec.handler else None,
        process=_process(spec.process) if spec.process else None,
        processes=_processes(spec),
        preload=None if spec.warm_start == "off" else Preload(spec.warm_start),
    )


def _handler(handler: Handler) -> HandlerConfig:
    batching = handler.batching
    return HandlerConfig(
        path=handler.path,
        config=handler.config,
        batch_max_size=batching.max_size if batching else 1,
        batch_max_wait=batching.max_wait.total_seconds() if batching else 0.0,
    )


def _process(process: Process) -> ProcessConfig:
    return ProcessConfig(command=process.command, ready_path=process.ready.path if process.ready else None)


def _limits(spec: RealtimeSpec) -> Limits:
    """Return the limits of one process.

    All processes together never have more slots than the replica. Each has a queue if the replica has one.
    """
    processes = _processes(spec)
    return Limits(
        max_concurrency=None if spec.slots is None else max(1, spec.slots // processes),
        max_queue_length=math.ceil(spec.max_queue_length / processes),
        timeout=spec.timeout.total_seconds(),
    )


def _processes(spec: RealtimeSpec) -> int:
    return spec.handler.processes if spec.handler else 1
