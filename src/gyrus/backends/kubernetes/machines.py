"""The nodes of a cluster as machines that have a price. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gyrus.backends.kubernetes.capacity import (
    CONTROL_PLANE,
    HeldPlace,
    amount_view,
    capacity_type_of,
    instance_type_of,
    keys_of_taints,
    labels_of,
)
from gyrus.backends.protocol import HeldAmount, RunningMachine
from gyrus.contract.cluster import NODE_GROUP_LABELS, PRICE_LABEL
from gyrus.kubernetes.amounts import allocatable
from gyrus.kubernetes.resources import Manifest

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
AWS = "aws://"
"""The beginning of the provider's ID of a node that is an EC2 instance."""


@dataclass(frozen=True, slots=True)
class PlacedReplica:
    """The place that a replica of an API holds."""

    api: str
    place: HeldPlace


def machines_of(
    nodes: Mapping[str, Manifest], replicas: Iterable[PlacedReplica]
) -> tuple[RunningMachine, ...]:
    """Return the nodes, without those of the control plane on which no replica runs."""
    held: dict[str, list[HeldAmount]] = {}
    for replica in replicas:
        amount = HeldAmount(api=replica.api, amount=amount_view(replica.place.amounts))
        held.setdefault(replica.place.node, []).append(amount)
    return tuple(
        _machine(name, node, tuple(held.get(name, ())))
        for name, node in sorted(nodes.items())
        if name in held or not keys_of_taints(node) & CONTROL_PLANE
    )


def _machine(name: str, node: Manifest, held: tuple[HeldAmount, ...]) -> RunningMachine:
    labels = labels_of(node)
    spec: Mapping[str, Any] = node.get("spec") or {}
    on_aws = str(spec.get("providerID", "")).startswith(AWS)
    return RunningMachine(
        name=name,
        total=amount_view(allocatable(node)),
        held=held,
        instance_type=instance_type_of(labels),
        group=labels.get(NODE_GROUP_LABELS[0], ""),
        spot=capacity_type_of(labels) == "spot",
        region=labels.get(REGION, "") if on_aws else "",
        zone=labels.get(ZONE, ""),
        price=_price(labels.get(PRICE_LABEL)),
    )


def _price(text: str | None) -> float | None:
    """Return the price that the label states. A text that is no price counts as none."""
    try:
        price = float(text) if text else None
    except ValueError:
        return None
    return price if price is not None and 0 <= price < float("inf") else None
