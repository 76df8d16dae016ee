"""The nodes that a cluster begins with: gyrus runs on them before it plans nodes itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.resource_names import scaling_group
from gyrus.cluster.aws.templates.group_stack import ON_DEMAND, smallest_sizes
from gyrus.cluster.aws.templates.node_boot import taints

FEWEST = 2
"""Nodes for operator, gateways and the cluster's own pods: two, so that gateways are on two of them."""


def first_sizes(spec: ClusterSpec) -> Mapping[str, int]:
    """Return the least size of each Auto Scaling group, by its name, with which the cluster begins.

    That are the groups' least sizes. If these are fewer than two nodes for pods without accelerators, the
    preferred group gets the rest on demand, as far as it may have so many.
    """
    sizes = {
        scaling_group(spec.cluster_name, group.name, capacity): size
        for group in spec.node_groups
        for capacity, size in smallest_sizes(group).items()
    }
    usable = sorted(
        (group for group in spec.node_groups if group.max_instances and not taints(spec, group)),
        key=lambda group: (group.min_instances == 0, -group.priority),
    )
    missing = FEWEST - sum(group.min_instances for group in usable)
    for group in usable:
        more = min(max(missing, 0), group.max_instances - group.min_instances)
        sizes[_on_demand(spec, group)] += more
        missing -= more
    return sizes


def _on_demand(spec: ClusterSpec, group: NodeGroup) -> str:
    return scaling_group(spec.cluster_name, group.name, ON_DEMAND)
