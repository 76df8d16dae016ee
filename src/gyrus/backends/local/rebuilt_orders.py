"""An order that cannot be read, built again from the other files in the replica's folder.

The replica may be healthy: a damaged file of the operator is no reason to end it. The order suffices to watch
and to stop it, but not to start it again, since it lacks the CPU and the requirements. It therefore has the
restart policy ``never``.
"""

from __future__ import annotations

from pathlib import Path

from gyrus.backends.local.devices import VISIBLE_DEVICES
from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import ReplicaConfig, RestartPolicy
from gyrus.contract.workload import Code, ComputeResources, Workload, WorkloadEnvironment


def rebuild(folder: ReplicaFolder) -> ReplicaOrder | None:
    """Return the order of a replica that was launched. Returns None if its files do not show what it is."""
    config = folder.config()
    known = config or folder.status()
    generation = _generation(folder.id)
    if known is None or generation is None:
        return None
    return ReplicaOrder(
        id=folder.id,
        api=known.api,
        generation=generation,
        revision=known.revision,
        workload=_workload(folder, config) if config else Workload(code=Code(), restart=RestartPolicy.NEVER),
    )


def rebuild_launch(folder: ReplicaFolder) -> LaunchRecord | None:
    """Return the launch that the supervisor's configuration shows. Returns None if there is none."""
    config = folder.config()
    if config is None:
        return None
    devices = config.env.get(VISIBLE_DEVICES, "")
    return LaunchRecord(devices=tuple(devices.split(",")) if devices else ())


def runs_once(folder: ReplicaFolder) -> bool:
    """Return True if the replica was launched, and must not run a second time."""
    config = folder.config()
    return config is not None and config.restart is RestartPolicy.NEVER


def _generation(id: str) -> int | None:
    """Return the generation in a replica's id. Returns None if it is not such an id.

    >>> _generation("my-iris-12-ab3de"), _generation("iris")
    (12, None)
    """
    parts = id.rsplit("-", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None


def _workload(folder: ReplicaFolder, config: ReplicaConfig) -> Workload:
    launch, project = folder.launch() or LaunchRecord(), Path(config.project)
    return Workload(
        code=Code(
            package=None if project.parent == folder.path else project.name,
            handler=config.handler,
            process=config.process,
            processes=config.processes,
        ),
        compute=ComputeResources(mem=config.memory, gpu=len(launch.devices)),
        environment=WorkloadEnvironment(variables=config.env),
        limits=config.limits,
        start_timeout=config.start_timeout,
        grace=config.grace,
        restart=RestartPolicy.NEVER,
    )
