"""From an order to what the replica's supervisor is told. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from gyrus.backends.local.devices import VISIBLE_DEVICES
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.replica import HandlerConfig, Limits, ProcessConfig, ReplicaConfig
from gyrus.spec.realtime import RealtimeSpec

NOTIFY_SOCKET = "notify.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchContext:
    """What was prepared for one replica."""

    project: Path
    python: Path
    devices: tuple[str, ...] = ()
    has_devices: bool = False
    """The machine has GPUs, so that those it was not assigned must be hidden from it."""


def log_folder(home: Home, api: str, replica: str) -> Path:
    return home.replica_logs / api / replica


def configure(
    order: ReplicaOrder, context: LaunchContext, home: Home, settings: LocalSettings
) -> ReplicaConfig:
    spec = order.spec
    return ReplicaConfig(
        id=order.id,
        api=spec.name,
        revision=order.revision,
        project=str(context.project),
        python=str(context.python),
        handler=_handler(spec),
        process=_process(spec),
        processes=_processes(spec),
        limits=limits_of(spec),
        env=_visible(context) | spec.env,
        memory=spec.compute.mem,
        start_timeout=settings.start_timeout,
        grace=spec.timeout.total_seconds() + settings.drain_allowance,
        run_dir=str(home.run),
        log_dir=str(log_folder(home, spec.name, order.id)),
        notify=str(home.run / NOTIFY_SOCKET),
        queue_proxy=spec.process is not None and spec.slots is not None,
        backlog_socket=str(home.backlog_socket),
    )


def limits_of(spec: RealtimeSpec) -> Limits:
    """Of one process. The slots of all together are never more than the replica's; a queue is never none
    where one was asked for."""
    processes = _processes(spec)
    return Limits(
        max_concurrency=None if spec.slots is None else max(1, spec.slots // processes),
        max_queue_length=math.ceil(spec.max_queue_length / processes),
        timeout=spec.timeout.total_seconds(),
    )


def _processes(spec: RealtimeSpec) -> int:
    return spec.handler.processes if spec.handler else 1


def _handler(spec: RealtimeSpec) -> HandlerConfig | None:
    handler = spec.handler
    if handler is None:
        return None
    batching = handler.batching
    return HandlerConfig(
        path=handler.path,
        config=handler.config,
        batch_max_size=batching.max_size if batching else 1,
        batch_max_wait=batching.max_wait.total_seconds() if batching else 0.0,
    )


def _process(spec: RealtimeSpec) -> ProcessConfig | None:
    process = spec.process
    if process is None:
        return None
    return ProcessConfig(command=process.command, ready_path=process.ready.path if process.ready else None)


def _visible(context: LaunchContext) -> dict[str, str]:
    return {VISIBLE_DEVICES: ",".join(context.devices)} if context.has_devices else {}
