"""The capacity of a cluster: classes of nodes, what replicas hold, wait for, and could leave to others. Pure.

The operator sees the pods of its own namespace alone. It therefore knows what nodes offer and what gyrus
holds, and not what is free: the scheduler decides that, and states its reason in a pod that waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gyrus.contract.cluster import CAPACITY_LABEL, NODE_GROUP_LABELS
from gyrus.contract.operator import AmountView, CapacityView, NodeClassView
from gyrus.kubernetes.amounts import CPU, GPU, MEMORY, NONE, Amounts, allocatable, fits_into, total_of
from gyrus.kubernetes.resources import Manifest

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
CAPACITY_TYPES = (CAPACITY_LABEL, "eks.amazonaws.com/capacityType", "karpenter.sh/capacity-type")
SPOT = {"cloud.google.com/gke-spot": "true", "kubernetes.azure.com/scalesetpriority": "spot"}
CONTROL_PLANE = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})
"""Taints of nodes that are not meant for replicas."""
PASSING = "node.kubernetes.io/"
"""Prefix of taints that Kubernetes sets and removes with the state of a node."""
CLOSING = frozenset({"NoSchedule", "NoExecute"})
"""Effects of taints that keep pods away."""


NODES_COME_WITHIN = 60.0
"""Seconds for which a pod waits before another one of its API ends in its favour: a node may be added
meanwhile, by an autoscaler."""
RESCHEDULED_WITHIN = 20.0
"""Seconds after a pod's end within which the scheduler has tried those that wait again. Its longest back-off
is 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPlace:
    """The part of a node that a replica holds."""

    node: str
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPod:
    """A pod that is on no node yet, since none has enough for it."""

    pod: Manifest
    needs: Amounts
    since: float
    """Seconds since the epoch."""


def capacity_view(
    nodes: Mapping[str, Manifest],
    closed: Iterable[str],
    held: Sequence[HeldPlace],
    waiting: Sequence[Amounts],
) -> CapacityView:
    """Return the capacity. ``closed``: names of nodes that take no new replicas."""
    shut = frozenset(closed)
    used = {place.node for place in held}
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for name, node in sorted(nodes.items()):
        if name in used or not keys_of_taints(node) & CONTROL_PLANE:
            groups.setdefault(_class_of(node), []).append(name)
    classes = tuple(_class_view(key, groups[key], nodes, shut, held) for key in sorted(groups))
    return CapacityView(
        total=_sum(each.total for each in classes),
        held=amount_view(total_of(place.amounts for place in held)),
        waiting=amount_view(total_of(waiting)),
        replicas=len(held),
        replicas_waiting=len(waiting),
        overcommit=False,
        nodes=classes,
    )


def preemptable(
    *,
    held: Mapping[str, HeldPlace],
    waiting: Iterable[WaitingPod],
    others: Iterable[WaitingPod],
    nodes: Mapping[str, Manifest],
    now: float,
    freed_at: float,
) -> list[str]:
    """Return the replicas of an API of which each would surely leave its place to one of the API that waits.

    ``held``: the places of its replicas. ``others``: pods of other APIs that wait: the scheduler may prefer
    them. ``nodes``: those that take new pods. ``now``, ``freed_at``: seconds since the epoch; the latter when
    the latest pod of the API was gone. What else is free on a node is not known.
    """
    if now - freed_at < RESCHEDULED_WITHIN:
        return []
    patient = [pod for pod in waiting if now - pod.since >= NODES_COME_WITHIN]
    rivals = tuple(others)

    def would_fit(pod: WaitingPod, place: HeldPlace) -> bool:
        node = nodes.get(place.node)
        return node is not None and fits_into(pod.needs, place.amounts) and accepts(node, pod.pod)

    return [
        id
        for id, place in held.items()
        if any(would_fit(pod, place) for pod in patient) and not any(would_fit(pod, place) for pod in rivals)
    ]


def accepts(node: Manifest, pod: Manifest) -> bool:
    """Return True if the node has the labels that the pod selects, and no taint that it does not tolerate."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    labels = labels_of(node)
    selector: Mapping[str, str] = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity: Mapping[str, Any] = spec.get("affinity") or {}
    of_nodes: Mapping[str, Any] = affinity.get("nodeAffinity") or {}
    required: Mapping[str, Any] | None = of_nodes.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_matches(term, labels) for term in required["nodeSelectorTerms"]):
        return False
    tolerations: Sequence[Mapping[str, Any]] = spec.get("tolerations") or ()
    closing = (taint for taint in _taints(node) if taint.get("effect") in CLOSING)
    return all(any(_tolerates(each, taint) for each in tolerations) for taint in closing)


def _matches(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return True if all expressions match. Knows the operator of :mod:`.placement` alone."""
    expressions: Sequence[Mapping[str, Any]] = term.get("matchExpressions") or ()
    return all(each["operator"] == "In" and labels.get(each["key"]) in each["values"] for each in expressions)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", "")


def _class_of(node: Manifest) -> tuple[str, str, str, tuple[str, ...]]:
    """Return node group, instance type, capacity type, and the taints that stay."""
    labels = labels_of(node)
    group = next((labels[key] for key in NODE_GROUP_LABELS if labels.get(key)), "")
    taints = sorted(
        _taint(taint)
        for taint in _taints(node)
        if taint.get("effect") in CLOSING and not taint["key"].startswith(PASSING)
    )
    return group, instance_type_of(labels), capacity_type_of(labels), tuple(taints)


def instance_type_of(labels: Mapping[str, str]) -> str:
    """Return a node's instance type. Returns "" if it is unknown."""
    return labels.get(INSTANCE_TYPE, "")


def capacity_type_of(labels: Mapping[str, str]) -> str:
    """Return ``spot`` or ``on-demand``. Returns "" if it is unknown."""
    capacity = next((labels[key] for key in CAPACITY_TYPES if labels.get(key)), "")
    if any(labels.get(key) == value for key, value in SPOT.items()):
        capacity = "spot"
    return capacity.lower().replace("_", "-")


def _class_view(
    key: tuple[str, str, str, tuple[str, ...]],
    names: Sequence[str],
    nodes: Mapping[str, Manifest],
    closed: frozenset[str],
    held: Iterable[HeldPlace],
) -> NodeClassView:
    group, instance_type, capacity_type, taints = key
    own = [place.amounts for place in held if place.node in names]
    return NodeClassView(
        group=group,
        instance_type=instance_type,
        capacity_type=capacity_type,
        taints=taints,
        nodes=len(names),
        closed=len(closed.intersection(names)),
        total=amount_view(total_of(allocatable(nodes[name]) for name in names if name not in closed)),
        held=amount_view(total_of(own)),
        replicas=len(own),
    )


def amount_view(amounts: Amounts) -> AmountView:
    return AmountView(
        cpu=float(amounts.get(CPU, NONE)), mem=int(amounts.get(MEMORY, NONE)), gpu=int(amounts.get(GPU, NONE))
    )


def _sum(views: Iterable[AmountView]) -> AmountView:
    found = tuple(views)
    return AmountView(
        cpu=sum(each.cpu for each in found),
        mem=sum(each.mem for each in found),
        gpu=sum(each.gpu for each in found),
    )


def labels_of(node: Manifest) -> Mapping[str, str]:
    metadata: Mapping[str, Any] = node.get("metadata") or {}
    return metadata.get("labels") or {}


def _taints(node: Manifest) -> Sequence[Mapping[str, Any]]:
    spec: Mapping[str, Any] = node.get("spec") or {}
    return spec.get("taints") or ()


def keys_of_taints(node: Manifest) -> frozenset[str]:
    return frozenset(taint["key"] for taint in _taints(node))


def _taint(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
