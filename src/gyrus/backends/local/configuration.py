"""The configuration of a replica, built from its order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gyrus.backends.local.devices import VISIBLE_DEVICES
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.replica import HandlerConfig, ReplicaConfig

NOTIFY_SOCKET = "notify.sock"
WORK_FOLDER = "work"
"""Folder with the working folders of a replica's or fork server's processes, in its own folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchContext:
    """The prepared parts of one replica."""

    project: Path
    python: Path
    models: Path | None = None
    """The folder of the handler's models; None if there are none."""
    devices: tuple[str, ...] = ()
    has_devices: bool = False
    """True if the machine has GPUs. Those that are not assigned to the replica must be hidden from it."""


def log_folder(home: Home, api: str, replica: str) -> Path:
    return home.replica_logs / api / replica


def configure(order: ReplicaOrder, context: LaunchContext, home: Home) -> ReplicaConfig:
    workload = order.workload
    return ReplicaConfig(
        id=order.id,
        api=order.api,
        revision=order.revision,
        project=str(context.project),
        python=str(context.python),
        handler=_handler(workload.code.handler, context.models),
        process=workload.code.process,
        processes=workload.code.processes,
        limits=workload.limits,
        env=_visible(context) | workload.environment.variables,
        memory=workload.compute.mem,
        start_timeout=workload.start_timeout,
        grace=workload.grace,
        restart=workload.restart,
        run_dir=str(home.run),
        log_dir=str(log_folder(home, order.api, order.id)),
        notify=str(home.run / NOTIFY_SOCKET),
        queue_proxy=workload.queue_proxy,
        backlog_socket=str(home.backlog_socket),
        work_dir=str(home.replicas / order.id / WORK_FOLDER),
    )


def _handler(handler: HandlerConfig | None, models: Path | None) -> HandlerConfig | None:
    return replace(handler, models=str(models)) if handler and models else handler


def _visible(context: LaunchContext) -> dict[str, str]:
    return {VISIBLE_DEVICES: ",".join(context.devices)} if context.has_devices else {}
