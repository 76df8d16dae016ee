"""A plan while it is made: the nodes that stay, the capacity that is to come, and the reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gyrus.nodes.node_plan import NodeStep, PoolTarget, UnplacedPod
from gyrus.nodes.packing import NodeBin, PodNeed
from gyrus.nodes.resources import NodeResources, greatest
from gyrus.nodes.state import (
    CapacityType,
    ClusterNode,
    LeavingNode,
    NodesState,
    NodeState,
    PlacedPod,
    PlannedGroup,
    PoolRecord,
    pool_name,
)


class NodeDraft:
    """The desired capacity of each pool and the places for pods, as the phases of a plan change them."""

    def __init__(self, state: NodesState, records: Mapping[str, PoolRecord]) -> None:
        self.state = state
        self.settings = state.settings
        self.records = records
        self.groups = {group.name: group for group in state.groups}
        self.whole: NodeResources = greatest(group.allocatable for group in state.groups)
        """The greatest node of all groups, by which pods are compared."""
        self.nodes: dict[str, ClusterNode] = {node.name: node for node in state.nodes}
        self.pods: defaultdict[str, list[PlacedPod]] = defaultdict(list)
        for pod in state.pods:
            self.pods[pod.node].append(pod)
        self.was = {pool.name: pool.desired for pool in state.pools}
        self.existing = _count(node.pool for node in state.nodes)
        self.desired = {
            name: min(desired, self.existing[name]) if self.is_barred(name) else desired
            for name, desired in self.was.items()
        }
        for name, count in self.existing.items():
            self.desired[name] = max(count, self.desired.get(name, 0))
        self.reasons: defaultdict[str, list[str]] = defaultdict(list)
        self.leaving = {name: record for name, record in state.memory.leaving.items() if name in self.nodes}
        self.replaced: dict[str, str] = {}
        """Nodes that serve until there is a replacement; no pod is placed on them. See the memory."""
        self.unneeded: dict[str, float] = {}
        self.unplaced: list[UnplacedPod] = []
        self.ended: list[NodeStep] = []
        self.bins: list[NodeBin] = []

    def is_barred(self, pool: str) -> bool:
        record = self.records.get(pool)
        return record is not None and record.barred_until > self.state.now

    def goes(self, node: str) -> bool:
        """Return whether a node ends, or is to be replaced."""
        return node in self.leaving or node in self.replaced

    def keeps_pods(self, node: str) -> bool:
        """Return whether the pods of a node go on to serve there. Other nodes than those of groups do."""
        if node in self.leaving or any(step.node == node for step in self.ended):
            return False
        known = self.nodes.get(node)
        return known is None or known.lost_since is None

    def staying(self, group: str, capacity: CapacityType | None = None) -> int:
        """Return the desired nodes of a group, or of one of its pools, without those that go."""
        kinds = CapacityType if capacity is None else (capacity,)
        pools = {pool_name(group, kind) for kind in kinds}
        going = sum(self.nodes[name].pool in pools for name in {*self.leaving, *self.replaced})
        return sum(self.desired.get(pool, 0) for pool in pools) - going

    def all_desired(self, group: str) -> int:
        """Return the desired nodes of a group, including those that leave and have not ended."""
        return sum(self.desired.get(pool_name(group, capacity), 0) for capacity in CapacityType)

    def ready_nodes(self, group: str) -> int:
        """Return the ready nodes of a group that stay."""
        return sum(one.group == group and one.ready for one in self.bins)

    def pending_needs(self) -> list[PodNeed]:
        return [
            PodNeed(name=pod.name, requests=pod.requests, groups=pod.groups) for pod in self.state.pending
        ]

    def place_nodes(self) -> None:
        """Build the bins of the nodes that stay, and of the requested ones that are to come."""
        self.bins = [self._bin(node) for node in self.nodes.values() if self._is_usable(node)]
        for name, desired in self.desired.items():
            for _ in range(desired - self.existing[name]):
                self.bins.append(self._new_bin(name))

    def add_node(self, group: PlannedGroup, capacity: CapacityType, reason: str) -> NodeBin:
        """Request one more node. Returns its bin."""
        pool = pool_name(group.name, capacity)
        self.desired[pool] = self.desired.get(pool, 0) + 1
        if reason not in self.reasons[pool]:
            self.reasons[pool].append(reason)
        one = self._new_bin(pool)
        self.bins.append(one)
        return one

    def remove_request(self, one: NodeBin, reason: str) -> None:
        """Withdraw the request of a node that has no instance yet."""
        self.bins.remove(one)
        self.desired[one.pool] -= 1
        if reason not in self.reasons[one.pool]:
            self.reasons[one.pool].append(reason)

    def leave(self, node: ClusterNode, reason: str, *, drain: bool) -> None:
        """Decide that a node ends. A decision stands until the node is gone."""
        known = self.leaving.get(node.name)
        since = known.since if known else self.state.now
        draining = drain or (known is not None and known.draining)
        reason = known.reason if known else reason
        self.leaving[node.name] = LeavingNode(reason=reason, since=since, draining=draining)
        self.bins = [one for one in self.bins if one.name != node.name]

    def end(self, node: ClusterNode, reason: str) -> None:
        """End a leaving node, and decrement its pool."""
        self.ended.append(NodeStep(node=node.name, reason=reason))
        del self.nodes[node.name], self.leaving[node.name]
        self.existing[node.pool] -= 1
        self.desired[node.pool] -= 1
        if reason not in self.reasons[node.pool]:
            self.reasons[node.pool].append(reason)

    def targets(self) -> tuple[PoolTarget, ...]:
        """Return all pools in the order of their names."""
        return tuple(
            PoolTarget(
                pool=name,
                was=self.was.get(name, 0),
                desired=self.desired[name],
                reasons=tuple(self.reasons[name]),
            )
            for name in sorted(self.desired)
        )

    def _is_usable(self, node: ClusterNode) -> bool:
        return not self.goes(node.name) and not node.cordoned and node.lost_since is None

    def _bin(self, node: ClusterNode) -> NodeBin:
        free = node.allocatable
        for pod in self.pods[node.name]:
            free = free.minus(pod.requests)
        return NodeBin(
            name=node.name,
            group=node.group,
            pool=node.pool,
            whole=node.allocatable,
            free=free,
            ready=node.state is NodeState.READY,
            capacity=node.capacity,
        )

    def _new_bin(self, pool: str) -> NodeBin:
        group, _, capacity = pool.rpartition("/")
        whole = self.groups[group].allocatable
        return NodeBin(
            name="",
            group=group,
            pool=pool,
            whole=whole,
            free=whole,
            ready=False,
            capacity=CapacityType(capacity),
        )


def need_of(pod: PlacedPod) -> PodNeed:
    """Return the need of a pod that is to move."""
    return PodNeed(name=pod.name, requests=pod.requests, groups=pod.groups)


def _count(names: Iterable[str]) -> defaultdict[str, int]:
    counts: defaultdict[str, int] = defaultdict(int)
    for name in names:
        counts[name] += 1
    return counts
