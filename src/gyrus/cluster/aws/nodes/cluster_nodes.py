"""The nodes of Kubernetes that are instances of Auto Scaling groups. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gyrus.contract.cluster import CORDON_ANNOTATION
from gyrus.kubernetes.amounts import CPU, GPU, MEMORY, Amounts, allocatable
from gyrus.kubernetes.resources import KubernetesObject, Manifest
from gyrus.nodes.resources import NodeResources

PODS = "pods"
NEVER_READY = 5.0
"""Seconds after a node's creation within which its first report comes. One that is not ready and whose state
changed later was ready before."""
_PROVIDER_ID = re.compile(r"aws:///[^/]*/(i-[0-9a-f]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesNode:
    """A node with its instance."""

    name: str
    instance: str
    allocatable: NodeResources
    ready: bool
    lost_since: float | None
    """Time since which it has not reported, if it was ready before. None otherwise."""
    ready_since: float | None
    cordoned: bool
    cordoned_by_gyrus: bool


def instance_of(provider_id: str) -> str:
    """Return the instance in a node's ``spec.providerID``. Returns "" if there is none.

    >>> instance_of("aws:///eu-west-1a/i-0123456789abcdef0"), instance_of("kind://docker/kind/node")
    ('i-0123456789abcdef0', '')
    """
    found = _PROVIDER_ID.fullmatch(provider_id)
    return found[1] if found else ""


def kubernetes_nodes(manifests: Iterable[Manifest]) -> dict[str, KubernetesNode]:
    """Return the nodes that are instances of EC2, by instance.

    If no node is ready, none counts as lost: more likely, the control plane does not reach them, and no other
    node could take their pods.
    """
    nodes = [node for manifest in manifests if (node := _node(manifest)) is not None]
    if not any(node.ready for node in nodes):
        nodes = [replace(node, lost_since=None) for node in nodes]
    return {node.instance: node for node in nodes}


def offered(amounts: Amounts) -> NodeResources:
    """Return an amount that a node offers, rounded down."""
    return NodeResources(
        cpu=int(amounts.get(CPU, 0) * 1000),
        memory=int(amounts.get(MEMORY, 0)),
        gpu=int(amounts.get(GPU, 0)),
        pods=int(amounts.get(PODS, 0)),
    )


def _node(manifest: Manifest) -> KubernetesNode | None:
    node = KubernetesObject(manifest)
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    instance = instance_of(spec.get("providerID") or "")
    if not instance:
        return None
    metadata = manifest["metadata"]
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    changed = _seconds(node.condition("Ready").get("lastTransitionTime"))
    return KubernetesNode(
        name=node.name,
        instance=instance,
        allocatable=offered(allocatable(manifest)),
        ready=node.ready,
        lost_since=None if node.ready else _lost_since(node, changed),
        ready_since=changed if node.ready else None,
        cordoned=bool(spec.get("unschedulable")),
        cordoned_by_gyrus=CORDON_ANNOTATION in annotations,
    )


def _lost_since(node: KubernetesObject, changed: float | None) -> float | None:
    """Return the time of the change, unless the node has never been ready."""
    created = _seconds(node.manifest["metadata"].get("creationTimestamp"))
    if changed is None:
        return None
    if node.condition("Ready").get("status") == "Unknown":
        return changed
    return changed if created is not None and changed - created > NEVER_READY else None


def _seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None
