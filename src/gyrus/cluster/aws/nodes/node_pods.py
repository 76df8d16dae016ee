"""The pods of a cluster, as the planner of nodes needs them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from gyrus.contract.cluster import API_LABEL, NODE_GROUP_LABELS, REPLICA_ROLE, ROLE_LABEL
from gyrus.kubernetes.amounts import CPU, GPU, MEMORY, Amounts, requested
from gyrus.kubernetes.resources import KubernetesObject, Manifest, namespace_of
from gyrus.nodes.resources import NodeResources

MIRROR = "kubernetes.io/config.mirror"
STAYS = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""Annotations of pods that must not be moved, by the autoscalers that read them, too."""
OF_NODES = ("DaemonSet", "Node")
"""Kinds of the owners of pods that every node has."""
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPod:
    """A pod that has not ended."""

    name: str
    """With its namespace: ``kube-system/coredns-1``."""
    node: str
    """Kubernetes' name of its node; "" if it has none."""
    requests: NodeResources
    api: str
    """"" if it is no replica."""
    since: float
    of_node: bool
    """True if it belongs to its node: a daemon's, or one that the kubelet starts by itself."""
    may_move: bool
    deleted: bool
    groups: tuple[str, ...]
    """Node groups that it selects, the preferred one first; empty for any."""
    tolerations: tuple[Mapping[str, Any], ...]

    def tolerates(self, taint: str) -> bool:
        """Return whether it may run on nodes with a taint: ``key=value:effect``."""
        key, _, rest = taint.partition("=")
        value, _, effect = rest.partition(":")
        return any(_tolerates(each, key, value, effect) for each in self.tolerations)

    @property
    def waits(self) -> bool:
        """True if it is on no node, and one could help."""
        return not self.node and not self.of_node and not self.deleted


def cluster_pods(manifests: Iterable[Manifest]) -> tuple[ClusterPod, ...]:
    """Return the pods that have not ended."""
    return tuple(pod_of(manifest) for manifest in manifests if not _has_ended(manifest))


def _has_ended(manifest: Manifest) -> bool:
    return KubernetesObject(manifest).status.get("phase") in ENDED


def pod_of(manifest: Manifest) -> ClusterPod:
    """Return one pod."""
    pod = KubernetesObject(manifest)
    metadata: Mapping[str, Any] = manifest["metadata"]
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    owners = [owner.get("kind", "") for owner in metadata.get("ownerReferences") or ()]
    is_replica = pod.labels.get(ROLE_LABEL) == REPLICA_ROLE
    created: str | None = metadata.get("creationTimestamp")
    return ClusterPod(
        name=f"{namespace_of(manifest) or ''}/{pod.name}",
        node=spec.get("nodeName") or "",
        requests=needed(requested(manifest)),
        api=pod.labels.get(API_LABEL, "") if is_replica else "",
        since=datetime.fromisoformat(created).timestamp() if created else 0.0,
        of_node=MIRROR in annotations or any(kind in OF_NODES for kind in owners),
        may_move=_may_move(spec, annotations, owners, is_replica=is_replica),
        deleted=pod.deleted,
        groups=tuple(_selected_groups(spec)),
        tolerations=tuple(spec.get("tolerations") or ()),
    )


def needed(amounts: Amounts) -> NodeResources:
    """Return an amount that a pod requests, rounded up."""
    return NodeResources(
        cpu=math.ceil(amounts.get(CPU, 0) * 1000),
        memory=math.ceil(amounts.get(MEMORY, 0)),
        gpu=math.ceil(amounts.get(GPU, 0)),
    )


def _may_move(
    spec: Mapping[str, Any], annotations: Mapping[str, str], owners: Sequence[str], *, is_replica: bool
) -> bool:
    """Return whether a pod that ends comes back elsewhere.

    One that runs once must end by itself. One with a claimed volume can only follow it within its zone.
    """
    if spec.get("restartPolicy") == "Never" or any(annotations.get(key) == STAYS[key] for key in STAYS):
        return False
    volumes: Sequence[Mapping[str, Any]] = spec.get("volumes") or ()
    if any("persistentVolumeClaim" in volume for volume in volumes):
        return False
    return is_replica or bool(owners)


def _selected_groups(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the groups that a pod selects, as :mod:`gyrus.backends.kubernetes.placement` writes them."""
    selector: Mapping[str, str] = spec.get("nodeSelector") or {}
    if own := next((selector[label] for label in NODE_GROUP_LABELS if label in selector), ""):
        yield own
        return
    affinity: Mapping[str, Any] = spec.get("affinity") or {}
    of_nodes: Mapping[str, Any] = affinity.get("nodeAffinity") or {}
    required: Mapping[str, Any] = of_nodes.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms: Sequence[Mapping[str, Any]] = required.get("nodeSelectorTerms") or ()
    every = chain.from_iterable(map(_chosen_by, terms))
    yield from dict.fromkeys(every)


def _chosen_by(term: Mapping[str, Any]) -> Iterator[str]:
    """Yield the node groups that a term of an affinity names."""
    expressions: Sequence[Mapping[str, Any]] = term.get("matchExpressions") or ()
    for one in expressions:
        if one.get("key") in NODE_GROUP_LABELS and one.get("operator") == "In":
            values: Sequence[str] = one["values"]
            yield from values


def _tolerates(toleration: Mapping[str, Any], key: str, value: str, effect: str) -> bool:
    if toleration.get("effect") not in (None, "", effect):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", key)
    return toleration.get("key") == key and toleration.get("value", "") == value
