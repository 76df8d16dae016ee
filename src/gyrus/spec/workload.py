"""The parts of a workload, built from the parts of a specification. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from gyrus.contract.containers import Container, ContainerGroup, ContainerHook, ContainerProbe
from gyrus.contract.fork_server import Preload
from gyrus.contract.replica import HandlerConfig, Limits, ProcessConfig
from gyrus.contract.workload import Code, ComputeResources
from gyrus.spec.api import Compute, Handler, Process
from gyrus.spec.containers import HealthProbe, PodContainer, PodSpec

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
    group: ContainerGroup | None = None,
    warm_start: WarmStart = "off",
) -> Code:
    """Return the program. ``package``: digest of the archive with the project."""
    return Code(
        package=None if group else package,
        handler=_handler(handler) if handler else None,
        models=handler.resolved_models.folder if handler and handler.resolved_models else None,
        process=_process(process) if process and not group else None,
        group=group,
        image=handler.image if handler else None,
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


SERVER = "server"
"""Name of the only container of a process with an image."""
SERVER_PORT = 8000
"""Its ``$PORT``."""
_PORT = re.compile(r"\$?\{PORT\}|\$PORT\b")


def group_of(process: Process, compute: Compute, variables: Mapping[str, str]) -> ContainerGroup | None:
    """Return the container of a process with an image. Returns None if it has none.

    As on one machine, ``$PORT`` is replaced in the command, and ``$(NAME)`` is not.
    """
    if process.image is None:
        return None
    path = process.ready.path if process.ready else None
    ready = ContainerProbe(http_path=path, port=SERVER_PORT, period=1, timeout=3, failure_threshold=2)
    container = Container(
        name=SERVER,
        image=process.image,
        command=tuple(_literal(_PORT.sub(str(SERVER_PORT), word)) for word in process.command),
        variables={name: _literal(value) for name, value in variables.items()} | {"PORT": str(SERVER_PORT)},
        compute=compute_of(compute),
        readiness=ready,
    )
    return ContainerGroup(containers=(container,), port=SERVER_PORT)


def pod_group(pod: PodSpec) -> ContainerGroup:
    """Return the containers of the section ``pod``."""
    return ContainerGroup(containers=tuple(map(_container, pod.containers)), port=pod.port, cortex=True)


def total(group: ContainerGroup) -> ComputeResources:
    """Return the resources of all containers. The memory has no limit if one container's has none."""
    parts = [container.compute for container in group.containers]
    memory = [part.mem for part in parts if part.mem is not None]
    return ComputeResources(
        cpu=round(sum(part.cpu for part in parts), 6),
        mem=sum(memory) if len(memory) == len(parts) else None,
        gpu=sum(part.gpu for part in parts),
        inf=sum(part.inf for part in parts),
    )


def _literal(text: str) -> str:
    """Return a text that Kubernetes leaves as it is."""
    return text.replace("$(", "$$(")


def _container(container: PodContainer) -> Container:
    hook = container.pre_stop
    compute = container.compute
    return Container(
        name=container.name,
        image=container.image,
        command=container.command or (),
        args=container.args or (),
        variables=dict(container.env),
        compute=ComputeResources(
            cpu=compute.cpu, mem=compute.mem, gpu=compute.gpu, inf=compute.inf, shm=compute.shm
        ),
        readiness=_probe(container.readiness_probe) if container.readiness_probe else None,
        liveness=_probe(container.liveness_probe) if container.liveness_probe else None,
        pre_stop=ContainerHook(
            http_path=hook.http_get.path if hook.http_get else None,
            port=hook.http_get.port if hook.http_get else None,
            command=hook.exec.command if hook.exec else (),
        )
        if hook
        else None,
    )


def _probe(probe: HealthProbe) -> ContainerProbe:
    target = probe.http_get or probe.tcp_socket
    return ContainerProbe(
        http_path=probe.http_get.path if probe.http_get else None,
        port=target.port if target else None,
        command=probe.exec.command if probe.exec else (),
        initial_delay=probe.initial_delay_seconds,
        timeout=probe.timeout_seconds,
        period=probe.period_seconds,
        success_threshold=probe.success_threshold,
        failure_threshold=probe.failure_threshold,
    )


def limits_of(slots: int | None, queue: int, timeout: timedelta, processes: int) -> Limits:
    """Return the limits of one process of a replica that has these slots and this queue.

    All processes together never have more slots than the replica. Each has a queue if the replica has one.
    """
    return Limits(
        max_concurrency=None if slots is None else max(1, slots // processes),
        max_queue_length=math.ceil(queue / processes),
        timeout=timeout.total_seconds(),
    )
