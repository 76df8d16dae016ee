"""Finding the replicas of an earlier operator: running, partly started or partly removed ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gyrus.backends.local import rebuilt_orders
from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder, Unreadable
from gyrus.backends.local.identification import identify
from gyrus.backends.local.replica import Found
from gyrus.backends.local.supervisor_process import SupervisorProcess, find_supervisors, kill_leftovers
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.replica import FINAL, ReplicaStatus, RestartPolicy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    order: ReplicaOrder
    folder: ReplicaFolder
    found: Found


def find_replicas(home: Home) -> list[Adopted]:
    """Return the replicas that still have an order, and remove the remains of others. Blocks."""
    folders = [ReplicaFolder(path) for path in sorted(home.replicas.iterdir()) if path.is_dir()]
    if not folders:
        return []
    candidates = find_supervisors()
    found = (_adopt(folder, candidates.get(str(folder.config_file), ())) for folder in folders)
    return [adopted for adopted in found if adopted]


def _adopt(folder: ReplicaFolder, candidates: Sequence[int]) -> Adopted | None:
    """Return the replica of this folder. Returns None if it has no order, after removing what is left."""
    try:
        return _adopted(folder, identify(folder, candidates))
    except OSError as error:  # one folder must not keep the operator from its other replicas
        log.error("Replica %s cannot be adopted or removed, the next start tries again: %s", folder.id, error)
        return None


def _adopted(folder: ReplicaFolder, supervisor: SupervisorProcess | None) -> Adopted | None:
    fault = ""
    try:
        order = folder.order()
    except Unreadable as error:
        order, fault = _rebuilt(folder, supervisor, error), str(error)
    if order:
        return Adopted(order=order, folder=folder, found=_found(folder, order, supervisor, fault))
    _discard(folder, supervisor)
    return None


def _rebuilt(
    folder: ReplicaFolder, supervisor: SupervisorProcess | None, error: Unreadable
) -> ReplicaOrder | None:
    """Return an order in place of one that cannot be read. Returns None if the replica must be removed."""
    if supervisor is None and not rebuilt_orders.runs_once(folder):
        log.warning("Removing replica %s, which does not run: %s; another replaces it", folder.id, error)
        return None
    order = rebuilt_orders.rebuild(folder)
    if order is None:
        log.error("Ending replica %s: %s, nor can its other files; another replaces it", folder.id, error)
    elif supervisor:
        remedy = f"replace it with gyrus refresh {order.api}"
        log.warning("Replica %s runs, but cannot be started again: %s; %s", folder.id, error, remedy)
    else:
        log.warning("Replica %s has run, and must not run again: %s", folder.id, error)
    return order


def _found(
    folder: ReplicaFolder, order: ReplicaOrder, supervisor: SupervisorProcess | None, fault: str
) -> Found:
    status = folder.status()
    launch = folder.launch() or rebuilt_orders.rebuild_launch(folder)
    reported = status if status and _holds_still(status, order, supervisor) else None
    return Found(
        supervisor=supervisor,
        status=reported,
        launch=_with_pid(launch, supervisor, status),
        stop=folder.stop(),
        ordered_at=folder.ordered_at(),
        holds=(launch is not None or supervisor is not None) and not (reported and reported.phase in FINAL),
        fault=fault,
    )


def _holds_still(status: ReplicaStatus, order: ReplicaOrder, supervisor: SupervisorProcess | None) -> bool:
    """Return True if a report is still valid: its supervisor runs, or the replica's only run has ended."""
    if supervisor:
        return status.pid == supervisor.pid
    return order.workload.restart is RestartPolicy.NEVER and status.phase in FINAL


def _with_pid(
    launch: LaunchRecord | None, supervisor: SupervisorProcess | None, status: ReplicaStatus | None
) -> LaunchRecord | None:
    """Return the launch with its pid, even if the operator died before it could record the pid."""
    if launch is None and supervisor is None and status is None:
        return None
    launch = launch or LaunchRecord()
    pid = supervisor.pid if supervisor else launch.pid or (status.pid if status else None)
    return replace(launch, pid=pid)


def _discard(folder: ReplicaFolder, supervisor: SupervisorProcess | None) -> None:
    launch = folder.launch()
    if supervisor:
        supervisor.kill()
    elif launch and launch.pid is not None:
        kill_leftovers(launch.pid, folder.id)
    folder.remove()
