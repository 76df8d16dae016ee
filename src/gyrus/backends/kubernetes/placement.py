"""The nodes on which a replica's pod may run, as the scheduler reads them. Pure."""

from __future__ import annotations

from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import API_LABEL, GENERATION_LABEL, NODE_GROUP_LABELS
from gyrus.contract.workload import Toleration
from gyrus.kubernetes.placement import spread_over_nodes, spread_over_zones
from gyrus.kubernetes.resources import Manifest

HIGHEST_WEIGHT = 100


def place(spec: Manifest, order: ReplicaOrder) -> None:
    """Add an order's placement to the specification of its pod."""
    placement = order.workload.placement
    alike = {API_LABEL: order.api, GENERATION_LABEL: str(order.generation)}
    spec["topologySpreadConstraints"] = spread_over_nodes(alike)
    spec["affinity"] = spread_over_zones(alike)
    if placement.node_selector:
        spec["nodeSelector"] = dict(placement.node_selector)
    if placement.node_groups:
        spec["affinity"]["nodeAffinity"] = _affinity(placement.node_groups)
    if placement.priority:
        spec["priorityClassName"] = placement.priority
    own = [_toleration(toleration) for toleration in placement.tolerations]
    kept = [given for given in spec["tolerations"] if given["key"] not in {one.get("key") for one in own}]
    spec["tolerations"] = [*kept, *own]


def _affinity(groups: tuple[str, ...]) -> Manifest:
    """Return the affinity to nodes of these groups, the first ones preferred.

    A node has one of several labels with its group. Only one of the terms must match.
    """
    terms = [{"matchExpressions": [_among(label, groups)]} for label in NODE_GROUP_LABELS]
    preferred = [
        {"weight": weight, "preference": {"matchExpressions": [_among(label, (group,))]}}
        for group, weight in zip(groups, _weights(len(groups)), strict=True)
        for label in NODE_GROUP_LABELS
    ]
    affinity: Manifest = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    if len(groups) > 1:
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return affinity


def _weights(count: int) -> list[int]:
    """Return falling weights from 100 to 1.

    >>> _weights(1), _weights(4)
    ([100], [100, 75, 50, 25])
    """
    return [max(1, HIGHEST_WEIGHT * (count - index) // count) for index in range(count)]


def _among(label: str, groups: tuple[str, ...]) -> Manifest:
    return {"key": label, "operator": "In", "values": [*groups]}


def _toleration(toleration: Toleration) -> Manifest:
    fields = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.seconds,
    }
    return {name: value for name, value in fields.items() if value is not None}
