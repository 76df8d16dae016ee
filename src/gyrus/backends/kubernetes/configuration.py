"""The configuration of a replica in a pod, built from its order. Pure."""

from __future__ import annotations

from dataclasses import replace

from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import REPLICA_PORT
from gyrus.contract.pods import (
    ENVIRONMENTS_FOLDER,
    LOG_FOLDER,
    METRICS_PORT,
    PROJECT_FOLDER,
    RUN_FOLDER,
    STATUS_PORT,
    WORK_FOLDER,
    cached_models,
    models_folder,
    python_of,
    use_lock,
)
from gyrus.contract.replica import HandlerConfig, LogArchiveAccess, ReplicaConfig
from gyrus.contract.workload import Code


def ports(order: ReplicaOrder) -> tuple[int, ...]:
    """Return the ports on which the order's processes listen, in their order."""
    code = order.workload.code
    if code.process is not None:
        return (REPLICA_PORT,) if code.process.serves else ()
    return tuple(REPLICA_PORT + index for index in range(code.processes))


def has_metrics(order: ReplicaOrder) -> bool:
    """Return whether gyrus's processes serve the order: a server of the user's has metrics of its own."""
    return order.workload.code.process is None or order.workload.queue_proxy


def configure(
    order: ReplicaOrder, environment: str, archive: LogArchiveAccess, proof: str, *, cached: bool = False
) -> ReplicaConfig:
    """Return the configuration.

    ``environment``: key of the Python environment. ``proof``: that of the operator's private calls.
    ``cached``: True if the environment is in a folder that the pods of a node share.
    """
    workload, models = order.workload, order.workload.code.models
    return ReplicaConfig(
        id=order.id,
        api=order.api,
        revision=order.revision,
        project=PROJECT_FOLDER,
        python=python_of(environment),
        handler=_handler(workload.code, cached=cached),
        process=workload.code.process,
        processes=workload.code.processes,
        limits=workload.limits,
        env=workload.environment.variables,
        memory=workload.compute.mem,
        start_timeout=workload.start_timeout,
        grace=workload.grace,
        restart=workload.restart,
        run_dir=RUN_FOLDER,
        log_dir=LOG_FOLDER,
        work_dir=WORK_FOLDER,
        queue_proxy=workload.queue_proxy,
        listen=tuple(f"0.0.0.0:{port}" for port in ports(order)),
        proof=proof,
        status_address=f"0.0.0.0:{STATUS_PORT}",
        metrics_address=f"0.0.0.0:{METRICS_PORT}" if has_metrics(order) else None,
        log_to_stdout=True,
        holds=use_lock(ENVIRONMENTS_FOLDER, environment) if cached else None,
        holds_models=use_lock(ENVIRONMENTS_FOLDER, cached_models(models.key)) if cached and models else None,
        log_archive=archive,
    )


def _handler(code: Code, *, cached: bool) -> HandlerConfig | None:
    if code.handler is None or code.models is None:
        return code.handler
    return replace(code.handler, models=models_folder(code.models.key, cached=cached))
