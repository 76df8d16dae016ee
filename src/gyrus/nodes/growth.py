"""New nodes for pods that fit on none.

The order of choice is that of cluster-autoscaler's priority expander, and among equal priorities that of its
price expander: the least price for the pods that the node would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.nodes.capacity_mix import preferred_capacity
from gyrus.nodes.draft import NodeDraft
from gyrus.nodes.node_plan import UnplacedPod
from gyrus.nodes.packing import NodeBin, PodNeed, decreasing, in_order_of_use, pack
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import CapacityType, PlannedGroup, pool_name


@dataclass(frozen=True, slots=True, order=True)
class _Option:
    """A pool that could get the next node. The least one is the best."""

    wastes_gpu: bool
    preference: int
    """Place of the group in the pod's own list."""
    low_priority: int
    unproven: bool
    """Spot without a running node, while another spot pool of this priority has failed: it may fail too."""
    price: float
    """Price of the node, for each part of the pods that it takes."""
    group: str
    capacity: CapacityType


def place_needs(draft: NodeDraft, needs: Sequence[PodNeed], reason: str = "") -> list[PodNeed]:
    """Place the needs on nodes that stay, on those to come, and on new ones. Returns what fits nowhere."""
    rest = pack(decreasing(needs, draft.whole), [one for one in in_order_of_use(draft.bins) if one.ready])
    rest = _place_on_coming(draft, rest)
    if not rest:
        return []
    what = reason or _shortfall(rest)
    impossible: list[PodNeed] = []
    while rest:
        option = best_option(draft, rest)
        if option is None:
            impossible.append(rest[0])
            rest = rest[1:]
            continue
        group = draft.groups[option.group]
        one = draft.add_node(group, option.capacity, what + _fall_back(draft, option))
        rest = pack(rest, [one])
    return impossible


def _place_on_coming(draft: NodeDraft, needs: Sequence[PodNeed]) -> list[PodNeed]:
    """Fill the nodes to come, one by one in the order in which they would be bought. Returns the rest.

    With another order, mixed sizes might not fit on the nodes that the last plan bought for them.
    """
    coming = [one for one in in_order_of_use(draft.bins) if not one.ready]
    rest, impossible = list(needs), list[PodNeed]()
    while rest:
        first_of_pool = {one.pool: one for one in reversed(coming) if one.takes(rest[0])}
        if not first_of_pool:
            impossible.append(rest.pop(0))
            continue
        options = {
            name: _option(draft, draft.groups[one.group], one.capacity, rest)
            for name, one in first_of_pool.items()
        }
        best = first_of_pool[min(options, key=options.__getitem__)]
        coming.remove(best)
        rest = pack(rest, [best])
    return impossible


def report_unplaced(draft: NodeDraft, needs: Sequence[PodNeed]) -> None:
    """Add why no node can be had for these pods."""
    draft.unplaced += [UnplacedPod(pod=need.name, reason=_obstacle(draft, need)) for need in needs]


def keep_minimum(draft: NodeDraft) -> None:
    """Add nodes to groups that have fewer than their minimum."""
    for group in draft.state.groups:
        while draft.staying(group.name) < group.min_nodes:
            capacity = usable_capacity(draft, group)
            if capacity is None:
                break
            draft.add_node(group, capacity, f"min_instances is {group.min_nodes}")


def usable_capacity(draft: NodeDraft, group: PlannedGroup) -> CapacityType | None:
    """Return the capacity type for a group's next node; None if the group is full or its pools are barred."""
    if draft.all_desired(group.name) >= group.max_nodes:
        return None
    kinds = preferred_capacity(
        group,
        on_demand=draft.staying(group.name, CapacityType.ON_DEMAND),
        spot=draft.staying(group.name, CapacityType.SPOT),
    )
    return next((kind for kind in kinds if not draft.is_barred(pool_name(group.name, kind))), None)


def best_option(draft: NodeDraft, needs: Sequence[PodNeed]) -> _Option | None:
    """Return the best pool for a node that takes the first of the needs; None if there is none."""
    suitable = [group for group in draft.state.groups if _suits(group, needs[0])]
    pools = [(group, usable_capacity(draft, group)) for group in suitable]
    options = [_option(draft, group, capacity, needs) for group, capacity in pools if capacity is not None]
    return min(options, default=None)


def _option(
    draft: NodeDraft, group: PlannedGroup, capacity: CapacityType, needs: Sequence[PodNeed]
) -> _Option:
    first = needs[0]
    return _Option(
        wastes_gpu=bool(group.allocatable.gpu) and not first.requests.gpu,
        preference=first.groups.index(group.name) if first.groups else 0,
        low_priority=-group.priority,
        unproven=capacity is CapacityType.SPOT and _spot_failed_elsewhere(draft, group),
        price=group.price(capacity) / _used(group, needs, draft.whole),
        group=group.name,
        capacity=capacity,
    )


def _suits(group: PlannedGroup, need: PodNeed) -> bool:
    return need.allows(group.name) and need.requests.fits(group.allocatable)


def _used(group: PlannedGroup, needs: Sequence[PodNeed], whole: NodeResources) -> float:
    """Return how much of the needs one node of a group would take, as shares of the greatest node."""
    size = group.allocatable
    one = NodeBin(
        name="",
        group=group.name,
        pool="",
        whole=size,
        free=size,
        ready=False,
        capacity=CapacityType.SPOT,
    )
    pack(needs, [one])
    return sum(need.requests.share_of(whole) for need in one.needs) or 1e-9


def _spot_failed_elsewhere(draft: NodeDraft, group: PlannedGroup) -> bool:
    if draft.existing[pool_name(group.name, CapacityType.SPOT)]:
        return False
    return any(
        draft.is_barred(pool_name(other.name, CapacityType.SPOT))
        for other in draft.state.groups
        if other.priority == group.priority and other.name != group.name
    )


def _shortfall(rest: Sequence[PodNeed]) -> str:
    return f"{rest[0].name} fits on no node" if len(rest) == 1 else f"{len(rest)} pods fit on no node"


def _fall_back(draft: NodeDraft, option: _Option) -> str:
    """Return why a node is on demand although spot is allowed; empty if it is not so."""
    barred = draft.is_barred(pool_name(option.group, CapacityType.SPOT))
    return "; spot is barred" if barred and option.capacity is CapacityType.ON_DEMAND else ""


def _obstacle(draft: NodeDraft, need: PodNeed) -> str:
    suitable = [group for group in draft.state.groups if _suits(group, need)]
    if not suitable:
        return f"no node group has nodes for {need.requests}; add one, or request less"
    full = [group.name for group in suitable if draft.all_desired(group.name) >= group.max_nodes]
    if len(full) == len(suitable):
        return f"{', '.join(full)}: max_instances is reached; raise it, or request less"
    names = ", ".join(group.name for group in suitable if group.name not in full)
    return f"{names}: EC2 has no capacity at present; the next try is at the end of the back-off"
