"""Node groups, nodes and pods for tests of the planner of nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import (
    CapacityType,
    ClusterNode,
    NodePool,
    NodesState,
    NodeType,
    PendingPod,
    PlacedPod,
    PlannedGroup,
    pool_name,
)

SPOT, ON_DEMAND = CapacityType.SPOT, CapacityType.ON_DEMAND
SMALL = NodeResources(cpu=1000, memory=2 * GIB)
"""Three of them fit on a node of :func:`group`."""
GPU_POD = NodeResources(cpu=1000, memory=2 * GIB, gpu=1)
NOW = 100_000.0


def instance_type(
    name: str = "m6i.xlarge", price: float = 0.2, spot: float | None = 0.07, **size: Any
) -> NodeType:
    whole: dict[str, Any] = {"cpu": 3800, "memory": 14 * GIB, "pods": 50}
    allocatable = NodeResources(**whole | size)
    return NodeType(name=name, allocatable=allocatable, on_demand_price=price, spot_price=spot)


def group(name: str = "cpu", *types: NodeType, **changes: Any) -> PlannedGroup:
    usual: dict[str, Any] = {"spot": True, "max_nodes": 10}
    return PlannedGroup(name=name, instance_types=types or (instance_type(),), **usual | changes)


def gpu_group(name: str = "gpu", **changes: Any) -> PlannedGroup:
    return group(name, instance_type("g5.xlarge", 1.0, 0.4, gpu=1), **changes)


def node(name: str, capacity: CapacityType = SPOT, **changes: Any) -> ClusterNode:
    usual: dict[str, Any] = {
        "group": "cpu", "instance_type": "m6i.xlarge", "zone": "a", "launched_at": NOW - 5000,
        "allocatable": instance_type().allocatable,
    }  # fmt: skip
    return ClusterNode(name=name, capacity=capacity, **usual | changes)


def pods_on(name: str, count: int, **changes: Any) -> list[PlacedPod]:
    usual: dict[str, Any] = {"requests": SMALL, "api": "iris"}
    return [PlacedPod(name=f"{name}-{number}", node=name, **usual | changes) for number in range(count)]


def pending(count: int, requests: NodeResources = SMALL, **changes: Any) -> tuple[PendingPod, ...]:
    return tuple(PendingPod(name=f"new-{number}", requests=requests, **changes) for number in range(count))


def state(*groups: PlannedGroup, nodes: Iterable[ClusterNode] = (), **changes: Any) -> NodesState:
    """Pools have the instances that they desire, unless ``desired`` has others by the pool's name."""
    groups = groups or (group(),)
    nodes = tuple(nodes)
    desired: dict[str, int] = changes.pop("desired", {})
    pools: dict[str, dict[str, Any]] = changes.pop("pools", {})
    usual: dict[str, Any] = {"now": NOW}
    return NodesState(
        **usual | changes,
        groups=groups,
        nodes=nodes,
        pools=tuple(
            NodePool(
                group=one.name,
                capacity=capacity,
                desired=desired.get(name, sum(node.pool == name for node in nodes)),
                **pools.get(name, {}),
            )
            for one in groups
            for capacity in CapacityType
            for name in [pool_name(one.name, capacity)]
        ),
    )


def planned(*groups: PlannedGroup, **changes: Any) -> NodePlan:
    return plan_nodes(state(*groups, **changes))


def desired(plan: NodePlan) -> dict[str, int]:
    """The pools with instances."""
    return {target.pool: target.desired for target in plan.pools if target.desired}


def reasons(plan: NodePlan, pool: str) -> tuple[str, ...]:
    return next(target.reasons for target in plan.pools if target.pool == pool)
