"""How many nodes of a group are on demand: EC2 Auto Scaling's rule for mixed instances."""

from __future__ import annotations

from gyrus.nodes.state import CapacityType, PlannedGroup


def on_demand_nodes(group: PlannedGroup, total: int) -> int:
    """Return how many of a group's nodes must be on demand: the base, and the share above it, rounded up.

    >>> mixed = PlannedGroup(
    ...     name="a", instance_types=(), spot=True, on_demand_base=2, on_demand_percentage=25
    ... )
    >>> [on_demand_nodes(mixed, total) for total in (1, 2, 3, 6, 7)]
    [1, 2, 3, 3, 4]
    """
    if not group.spot:
        return total
    return on_demand_share(total, group.on_demand_base, group.on_demand_percentage)


def on_demand_share(total: int, base: int, percentage: int) -> int:
    """Return how many of ``total`` nodes must be on demand where spot is allowed.

    >>> on_demand_share(10, base=2, percentage=25)
    4
    """
    return min(total, base) + -(-max(0, total - base) * percentage // 100)


def preferred_capacity(group: PlannedGroup, *, on_demand: int, spot: int) -> tuple[CapacityType, ...]:
    """Return the capacity types for a group's next node, the preferred one first.

    Spot is preferred above the group's share on demand, while it is cheaper.
    """
    if not group.spot:
        return (CapacityType.ON_DEMAND,)
    is_cheaper = group.price(CapacityType.SPOT) < group.price(CapacityType.ON_DEMAND)
    if on_demand < on_demand_nodes(group, on_demand + spot + 1) or not is_cheaper:
        return (CapacityType.ON_DEMAND, CapacityType.SPOT)
    return (CapacityType.SPOT, CapacityType.ON_DEMAND)
