"""The policies for nodes by their names on the command line."""

from __future__ import annotations

from dataclasses import replace

from gyrus.nodes.draft import NodeDraft
from gyrus.nodes.growth import keep_minimum
from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import end_empty, finish_plan, plan_nodes
from gyrus.nodes.pool_failures import judge_pools
from gyrus.nodes.state import NodesState
from gyrus.simulator.nodes.node_fleet import NodePolicy
from gyrus.simulator.nodes.policies.cluster_autoscaler import plan_as_cluster_autoscaler
from gyrus.simulator.nodes.policies.karpenter import plan_as_karpenter


def plan_on_demand(state: NodesState) -> NodePlan:
    """Plan as gyrus does, without spot."""
    return plan_nodes(replace(state, groups=tuple(replace(group, spot=False) for group in state.groups)))


def plan_constant(state: NodesState) -> NodePlan:
    """Keep each group at its minimum, as without a component that scales nodes."""
    records, bars = judge_pools(state)
    draft = NodeDraft(state, records)
    draft.place_nodes()
    keep_minimum(draft)
    end_empty(draft)
    return finish_plan(draft, records, bars)


POLICIES: dict[str, NodePolicy] = {
    "gyrus": plan_nodes,
    "cluster-autoscaler": plan_as_cluster_autoscaler,
    "karpenter": plan_as_karpenter,
    "on-demand": plan_on_demand,
    "none": plan_constant,
}
COMPARED_SCALERS = ("gyrus", "cluster-autoscaler", "karpenter", "on-demand")
"""Policies in the order of a comparison. The others are measured by the first one."""
