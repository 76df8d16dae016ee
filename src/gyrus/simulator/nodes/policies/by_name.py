"""The policies for nodes by their names on the command line."""

from __future__ import annotations

from dataclasses import replace

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.state import NodesState
from gyrus.simulator.nodes.node_fleet import NodePolicy
from gyrus.simulator.nodes.policies.cluster_autoscaler import plan_as_cluster_autoscaler
from gyrus.simulator.nodes.policies.karpenter import plan_as_karpenter


def plan_on_demand(state: NodesState) -> NodePlan:
    """Plan as gyrus does, without spot."""
    return plan_nodes(replace(state, groups=tuple(replace(group, spot=False) for group in state.groups)))


POLICIES: dict[str, NodePolicy] = {
    "gyrus": plan_nodes,
    "cluster-autoscaler": plan_as_cluster_autoscaler,
    "karpenter": plan_as_karpenter,
    "on-demand": plan_on_demand,
}
