"""The nodes of a cluster: instances of its Auto Scaling groups, joined with Kubernetes' nodes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gyrus.cluster.aws.inspection.facts import KubernetesFacts, ScalingFacts
from gyrus.cluster.aws.nodes.cluster_nodes import KubernetesNode
from gyrus.cluster.aws.nodes.node_pods import ClusterPod
from gyrus.cluster.aws.nodes.scaling_groups import GroupInstance, ObservedGroup
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import CapacityType

READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One instance, with its node if it is one."""

    instance: str
    name: str
    """Kubernetes' name; "" while the instance is no node, or if Kubernetes is not reached."""
    group: str
    capacity_type: CapacityType
    instance_type: str
    zone: str
    state: str
    """``starting``, ``ready``, ``not ready``, ``cordoned`` or ``leaving``; ``unknown`` without Kubernetes."""
    outdated: bool
    """True if it was made from an earlier launch template."""
    replicas: int
    pods: int
    """Pods that have not ended, replicas included."""
    requested: NodeResources
    """The sum of their requests."""
    allocatable: NodeResources | None
    """The amount that it offers to pods. None if that is not known."""


def node_statuses(scaling: ScalingFacts, kubernetes: KubernetesFacts | None) -> tuple[NodeStatus, ...]:
    """Return the nodes of all groups. ``kubernetes``: None if it is not reached."""
    return tuple(_statuses(scaling, kubernetes))


def _statuses(scaling: ScalingFacts, kubernetes: KubernetesFacts | None) -> Iterator[NodeStatus]:
    pods: defaultdict[str, list[ClusterPod]] = defaultdict(list)
    for pod in kubernetes.pods if kubernetes else ():
        pods[pod.node].append(pod)
    for group in scaling.groups:
        for instance in group.instances:
            described = scaling.instances.get(instance.id)
            if described is not None and described.ends:
                continue
            node = kubernetes.nodes.get(instance.id) if kubernetes else None
            state = _state(instance, node) if kubernetes else "unknown"
            yield _status(group, instance, node, state, pods[node.name] if node else ())


def _status(
    group: ObservedGroup,
    instance: GroupInstance,
    node: KubernetesNode | None,
    state: str,
    pods: Sequence[ClusterPod],
) -> NodeStatus:
    return NodeStatus(
        instance=instance.id,
        name=node.name if node else "",
        group=group.group,
        capacity_type=group.capacity,
        instance_type=instance.instance_type,
        zone=instance.zone,
        state=state,
        outdated=group.is_outdated(instance),
        replicas=sum(bool(pod.api) for pod in pods),
        pods=len(pods),
        requested=NodeResources(
            cpu=sum(pod.requests.cpu for pod in pods),
            memory=sum(pod.requests.memory for pod in pods),
            gpu=sum(pod.requests.gpu for pod in pods),
            pods=len(pods),
        ),
        allocatable=node.allocatable if node else None,
    )


def _state(instance: GroupInstance, node: KubernetesNode | None) -> str:
    if instance.leaves:
        return "leaving"
    if node is None:
        return "starting"
    if not node.ready:
        return "not ready"
    return "cordoned" if node.cordoned else READY
