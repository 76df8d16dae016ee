"""The replicas that the autoscaler requires of each API, for the planner of nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gyrus.contract.workload import Workload
from gyrus.control.startup_times import expected
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import RequiredReplicas
from gyrus.spec.replicated import ReplicatedSpec
from gyrus.state.board import Board
from gyrus.state.records import Api
from gyrus.state.store import Store


@dataclass(slots=True)
class ReplicaDemand:
    """Reads the required replicas."""

    store: Store
    board: Board
    _workloads: dict[tuple[str, int], Workload | None] = field(
        default_factory=dict[tuple[str, int], Workload | None]
    )
    """By API and revision. None if it is not replicated, or cannot be read."""

    async def required(self) -> tuple[RequiredReplicas, ...]:
        """Return them for all APIs with replicas. Raises StateError."""
        apis = [api for api in await self.store.apis() if api.replicas and not api.deleting]
        known = {(api.name, api.target.revision) for api in apis}
        self._workloads = {key: found for key, found in self._workloads.items() if key in known}
        found = [(api, await self._workload(api)) for api in apis]
        return tuple(self._required(api, workload) for api, workload in found if workload is not None)

    async def _workload(self, api: Api) -> Workload | None:
        key = (api.name, api.target.revision)
        if key not in self._workloads:
            self._workloads[key] = await self._read(*key)
        return self._workloads[key]

    async def _read(self, api: str, number: int) -> Workload | None:
        revision = await self.store.revision(api, number)
        if revision is None or not isinstance(revision.spec, ReplicatedSpec):
            return None
        return revision.spec.workload(revision.package)

    def _required(self, api: Api, workload: Workload) -> RequiredReplicas:
        return RequiredReplicas(
            api=api.name,
            replicas=api.replicas,
            requests=requests_of(workload),
            startup=expected(self.board.starts.get(api.name, ()), workload),
            groups=workload.placement.node_groups,
        )


def requests_of(workload: Workload) -> NodeResources:
    """Return what a replica's pod requests for the program. A present pod has the exact amounts."""
    compute = workload.compute
    return NodeResources(
        cpu=math.ceil(compute.cpu * 1000) if compute.cpu else 0, memory=compute.mem or 0, gpu=compute.gpu or 0
    )
