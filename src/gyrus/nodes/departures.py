"""Nodes that end for another reason than idleness: interruptions, recommendations, the return to spot."""

from __future__ import annotations

from gyrus.nodes.capacity_mix import on_demand_nodes
from gyrus.nodes.draft import NodeDraft, need_of
from gyrus.nodes.growth import place_needs, usable_capacity
from gyrus.nodes.packing import decreasing, in_order_of_use, places
from gyrus.nodes.state import CapacityType, ClusterNode, NodeState, NoticeKind, PlannedGroup, pool_name

ADVICE = {
    NoticeKind.REBALANCE: "EC2 recommends to replace this instance",
    NoticeKind.OUTDATED: "its launch template has changed",
}
"""The reasons why a node is replaced, by the kind of the notice about it."""


def cordon_interrupted(draft: NodeDraft) -> None:
    """Take nodes with an interruption warning out of use. Their pods get other places before they drain."""
    for notice in draft.state.notices:
        node = draft.nodes.get(notice.node)
        if node is not None and notice.kind is NoticeKind.INTERRUPTION:
            draft.leave(node, "EC2 interrupts this spot instance", drain=False)


def drop_broken(draft: NodeDraft) -> None:
    """End instances that have not become nodes in time, and nodes that are lost."""
    for node in draft.nodes.values():
        lost = 0.0 if node.lost_since is None else draft.state.now - node.lost_since
        if lost >= draft.settings.lost_limit:
            draft.leave(node, f"Kubernetes has not heard of the node for {lost:.0f} s", drain=True)
        limit = max(draft.settings.join_limit, 3 * draft.groups[node.group].startup)
        age = draft.state.now - node.launched_at
        if node.state is NodeState.STARTING and age >= limit:
            draft.leave(node, f"the instance is no ready node after {age:.0f} s", drain=True)


def drain_leaving(draft: NodeDraft, *, waits: bool) -> None:
    """Begin the drain of nodes that leave: when all pods have a place on ready nodes, or when time is short.

    ``waits`` is whether a pod waits for a node that is still to come.
    """
    ends = {notice.node: notice.ends_at for notice in draft.state.notices if notice.ends_at is not None}
    for name, record in list(draft.leaving.items()):
        at = ends.get(name)
        short = at is not None and draft.state.now >= at - draft.settings.drain_before_end
        if not waits or short:
            draft.leave(draft.nodes[name], record.reason, drain=True)


def choose_replaced(draft: NodeDraft) -> None:
    """Choose the nodes that end once there is a replacement, and that serve until then."""
    draft.replaced = {
        name: pool for name, pool in draft.state.memory.replaced.items() if _goes_on(draft, name, pool)
    }
    for notice in draft.state.notices:
        node = draft.nodes.get(notice.node)
        if node is not None and notice.kind in ADVICE and _may_be_replaced(draft, node):
            draft.replaced[node.name] = ""
    for group in draft.state.groups:
        _return_to_spot(draft, group)


def replace_chosen(draft: NodeDraft) -> None:
    """Drain the chosen nodes whose pods have a place on ready nodes. Request nodes for the others."""
    notices = (notice for notice in draft.state.notices if notice.kind in ADVICE)
    advice = {notice.node: ADVICE[notice.kind] for notice in notices}
    for name, pool in list(draft.replaced.items()):
        node = draft.nodes[name]
        reason = "spot is available again" if pool else advice[name]
        needs = decreasing((need_of(pod) for pod in draft.pods[name]), draft.whole)
        found = places(needs, [one for one in in_order_of_use(draft.bins) if one.ready], 0.0)
        if found is None:
            place_needs(draft, needs, reason=f"replaces {name}: {reason}")
            continue
        for need, one in found:
            one.place(need)
        if draft.ready_nodes(node.group) >= draft.groups[node.group].min_nodes:
            draft.leave(node, reason, drain=True)


def _goes_on(draft: NodeDraft, name: str, pool: str) -> bool:
    """Return whether a replacement that an earlier plan began is still possible."""
    node = draft.nodes.get(name)
    return node is not None and bool(pool) and not draft.is_barred(pool) and _may_be_replaced(draft, node)


def _return_to_spot(draft: NodeDraft, group: PlannedGroup) -> None:
    """Choose on-demand nodes of a group for which spot is to be tried again, the oldest first."""
    going = sum(draft.nodes[name].group == group.name for name in draft.replaced)
    limit = max(1, int(draft.staying(group.name) * draft.settings.most_at_once)) - going
    on_demand = pool_name(group.name, CapacityType.ON_DEMAND)
    mine = (node for node in draft.nodes.values() if node.pool == on_demand)
    for node in sorted(mine, key=lambda node: (node.launched_at, node.name)):
        if limit <= 0 or _surplus(draft, group) <= 0:
            return
        if pool := _better_pool(draft, node):
            draft.replaced[node.name] = pool
            limit -= 1


def _surplus(draft: NodeDraft, group: PlannedGroup) -> int:
    """Return how many on-demand nodes a group has beyond those that must be on demand."""
    on_demand = draft.staying(group.name, CapacityType.ON_DEMAND)
    if not group.spot:
        return on_demand
    return on_demand - on_demand_nodes(group, draft.staying(group.name))


def _better_pool(draft: NodeDraft, node: ClusterNode) -> str:
    """Return the spot pool of the first choice for an on-demand node's pods; empty if there is none.

    A node without pods ends by itself when it is idle for long enough.
    """
    if not draft.pods[node.name]:
        return ""
    old_enough = draft.state.now - node.launched_at >= draft.settings.return_after
    if node.capacity is CapacityType.SPOT or not old_enough or not _may_be_replaced(draft, node):
        return ""
    better = [group for group in draft.state.groups if _is_better(draft, node, group)]
    best = min(better, key=lambda group: (-group.priority, group.price(CapacityType.SPOT)), default=None)
    return pool_name(best.name, CapacityType.SPOT) if best else ""


def _may_be_replaced(draft: NodeDraft, node: ClusterNode) -> bool:
    movable = all(pod.may_move for pod in draft.pods[node.name])
    return node.is_open and not draft.goes(node.name) and movable


def _is_better(draft: NodeDraft, node: ClusterNode, group: PlannedGroup) -> bool:
    """Return whether a group's next node would be a cheaper spot node for the pods of an on-demand node."""
    own = draft.groups[node.group]
    if group.name != own.name and not _is_preferred(draft, group, own):
        return False
    price = own.price(CapacityType.ON_DEMAND) * (1 - draft.settings.least_saving)
    return (
        group.spot
        and draft.all_desired(group.name) < group.max_nodes
        and group.price(CapacityType.SPOT) <= price
        and not draft.is_barred(pool_name(group.name, CapacityType.SPOT))
        and all(need_of(pod).allows(group.name) for pod in draft.pods[node.name])
    )


def _is_preferred(draft: NodeDraft, group: PlannedGroup, own: PlannedGroup) -> bool:
    """Return whether a node's pods may move to another group, which its own group can spare."""
    return (
        group.priority > own.priority
        and draft.staying(own.name) > own.min_nodes
        and own.allocatable.fits(group.allocatable)
        and group.allocatable.gpu <= own.allocatable.gpu
        and usable_capacity(draft, group) is CapacityType.SPOT
    )
