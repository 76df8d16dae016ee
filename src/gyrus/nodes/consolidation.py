"""Nodes that are not needed: their pods fit on the others.

cluster-autoscaler looks at nodes below 50 % utilisation only and waits for 10 minutes; Karpenter looks at all
nodes and by default waits for none. This planner looks at all nodes, like Karpenter, and waits, like
cluster-autoscaler: less for an empty node, since its end disturbs no replica.
"""

from __future__ import annotations

import math

from gyrus.nodes.capacity_mix import on_demand_nodes
from gyrus.nodes.draft import NodeDraft, need_of
from gyrus.nodes.packing import NodeBin, PodNeed, decreasing, in_order_of_use, places, used_share
from gyrus.nodes.state import CapacityType, ClusterNode


def withdraw_requests(draft: NodeDraft) -> None:
    """Withdraw requests without an instance that no pod waits for."""
    for one in [one for one in draft.bins if not one.name and not one.needs]:
        if draft.staying(one.group) > draft.groups[one.group].min_nodes:
            draft.remove_request(one, "no pod waits for the requested node any more")


def end_unneeded(draft: NodeDraft, below: float = math.inf) -> None:
    """Find nodes whose pods fit on the others, and end those that have been so for long enough.

    ``below`` is the share of a node's resources that its pods must not request; by default, none.
    """
    moves = _allowed_moves(draft)
    for one in _candidates(draft):
        node = draft.nodes[one.name]
        if used_share(one) >= below or not _may_end(draft, node) or not _emptied(draft, one):
            continue
        since = draft.state.memory.unneeded.get(node.name, draft.state.now)
        draft.unneeded[node.name] = since
        has_pods = bool(draft.pods[node.name])
        limit = draft.settings.unneeded_for if has_pods else _empty_limit(draft, node)
        if draft.state.now - since >= limit and (moves > 0 or not has_pods):
            moves -= has_pods
            draft.unneeded.pop(node.name)
            what = "its pods fit on the others" if has_pods else "it has no pods"
            draft.leave(node, f"{what}, for {draft.state.now - since:.0f} s", drain=True)


def _empty_limit(draft: NodeDraft, node: ClusterNode) -> float:
    """Return the seconds for which a node without pods stays."""
    startup = draft.groups[node.group].startup
    return max(draft.settings.empty_for, draft.settings.empty_startups * startup)


def _allowed_moves(draft: NodeDraft) -> int:
    """Return how many more nodes with pods may be drained now."""
    most = max(1, int(len(draft.bins) * draft.settings.most_at_once))
    return most - len(draft.leaving)


def _candidates(draft: NodeDraft) -> list[NodeBin]:
    """Return the ready nodes: those that were unneeded before, then dear ones, then emptier ones.

    Without the first rule, two nodes of which one can be emptied would take turns, and none would end.
    """
    known = draft.state.memory.unneeded

    def rank(one: NodeBin) -> tuple[bool, float, float, str]:
        node = draft.nodes[one.name]
        price = draft.groups[node.group].price(node.capacity)
        return (one.name not in known, -price, used_share(one), one.name)

    return sorted((one for one in draft.bins if one.name and one.ready), key=rank)


def _may_end(draft: NodeDraft, node: ClusterNode) -> bool:
    """Return whether the group keeps its minimum and its on-demand share, and no pod must stay."""
    total = draft.staying(node.group) - 1 - _found(draft, node.group)
    group = draft.groups[node.group]
    if total < group.min_nodes or not all(pod.may_move for pod in draft.pods[node.name]):
        return False
    if node.capacity is CapacityType.SPOT:
        return True
    on_demand = draft.staying(node.group, CapacityType.ON_DEMAND) - 1
    on_demand -= _found(draft, node.group, CapacityType.ON_DEMAND)
    return not group.spot or on_demand >= on_demand_nodes(group, total)


def _found(draft: NodeDraft, group: str, capacity: CapacityType | None = None) -> int:
    """Return the nodes of a group that have been found to be unneeded, and do not leave yet."""
    nodes = (draft.nodes[name] for name in draft.unneeded)
    return sum(node.group == group and capacity in (None, node.capacity) for node in nodes)


def _emptied(draft: NodeDraft, one: NodeBin) -> bool:
    """Move a node's pods to other ready nodes, on paper. Returns False if they do not fit."""
    needs: list[PodNeed] = [*map(need_of, draft.pods[one.name]), *one.needs]
    shapes = {(need.requests, need.groups): need for need in needs}.values()
    others = [
        other
        for other in draft.bins
        if other is not one and other.ready and any(other.takes(need) for need in shapes)
    ]
    margin = draft.settings.margin if needs else 0.0
    found = places(decreasing(needs, draft.whole), in_order_of_use(others), margin)
    if found is None:
        return False
    for need, other in found:
        other.place(need)
    draft.bins.remove(one)
    return True
