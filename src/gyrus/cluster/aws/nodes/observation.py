"""The input of the planner of nodes, from what AWS and Kubernetes show. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gyrus.cluster.aws.nodes.cluster_nodes import KubernetesNode
from gyrus.cluster.aws.nodes.node_pods import ClusterPod
from gyrus.cluster.aws.nodes.record import NodesRecord, waiting_pools
from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure, as_first_seen
from gyrus.cluster.aws.nodes.scaling_groups import Ec2Instance, GroupInstance, ObservedGroup
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import (
    CapacityType,
    ClusterNode,
    NodeNotice,
    NodePool,
    NodesMemory,
    NodesState,
    NodeState,
    NoticeKind,
    PendingPod,
    PlacedPod,
    PlannedGroup,
    RequiredReplicas,
)

SOON = 900.0
"""Seconds from its launch within which a node becomes ready for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCluster:
    """One look at the cluster's nodes."""

    now: float
    scaling: tuple[ObservedGroup, ...]
    instances: Mapping[str, Ec2Instance] = field(default_factory=dict[str, Ec2Instance])
    failures: Mapping[str, LaunchFailure] = field(default_factory=dict[str, LaunchFailure])
    """By pool."""
    nodes: Mapping[str, KubernetesNode] = field(default_factory=dict[str, KubernetesNode])
    """By instance."""
    pods: tuple[ClusterPod, ...] = ()
    required: tuple[RequiredReplicas, ...] = ()

    def present(self, group: ObservedGroup) -> list[GroupInstance]:
        """Return the instances of a group that run or start."""
        return [one for one in group.instances if not one.leaves and not self._ends(one.id)]

    def _ends(self, instance: str) -> bool:
        known = self.instances.get(instance)
        return known is not None and known.ends

    @property
    def names(self) -> Mapping[str, str]:
        """The instances by the names of their nodes."""
        return {node.name: instance for instance, node in self.nodes.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRules:
    """The settings of the node groups."""

    groups: tuple[PlannedGroup, ...]
    taints: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By group: taints that keep pods away which do not tolerate them."""


def observed_record(record: NodesRecord, seen: ObservedCluster) -> NodesRecord:
    """Return the record after a look: waits, failures, notices and start-up times."""
    present = {group.pool: len(seen.present(group)) for group in seen.scaling}
    alive = {one.id for group in seen.scaling for one in seen.present(group)}
    return replace(
        record,
        waiting=waiting_pools(record.waiting, seen.scaling, present, seen.now),
        failures={
            pool: as_first_seen(failure, record.failures.get(pool), seen.now)
            for pool, failure in seen.failures.items()
        },
        notices=tuple(notice for notice in record.notices if notice.node in alive),
        startups={**record.startups, **_startups(seen)},
    )


def nodes_state(rules: GroupRules, seen: ObservedCluster, record: NodesRecord) -> NodesState:
    """Return the planner's input. ``record``: as :func:`observed_record` returns it."""
    pods = [pod for pod in seen.pods if not pod.of_node]
    groups = usable_groups(rules.groups, seen.scaling, record.startups)
    planned = {group.name for group in groups}
    allowed = _Allowed(rules, groups)
    nodes = tuple(_nodes(seen, groups, record))
    placed = tuple(_placed(pod, seen.names, allowed) for pod in pods if pod.node)
    return NodesState(
        now=seen.now,
        groups=groups,
        pools=tuple(_pool(group, record) for group in seen.scaling if group.group in planned),
        nodes=nodes,
        pods=placed,
        pending=tuple(
            PendingPod(
                name=pod.name, requests=pod.requests, api=pod.api, since=pod.since, groups=allowed.of(pod)
            )
            for pod in pods
            if pod.waits
        ),
        required=tuple(_with_requests(one, pods) for one in seen.required),
        notices=(*record.notices, *_outdated(seen, nodes, placed, record)),
        memory=record.plan,
    )


def usable_groups(
    groups: Iterable[PlannedGroup], scaling: Iterable[ObservedGroup], startups: Mapping[str, float]
) -> tuple[PlannedGroup, ...]:
    """Return the groups that AWS has, within the bounds of their Auto Scaling groups.

    A group whose stack does not exist yet gets no nodes, and none on spot if only that part is missing.
    """
    pools = {(one.group, one.capacity): one for one in scaling}
    usable: list[PlannedGroup] = []
    for group in groups:
        on_demand = pools.get((group.name, CapacityType.ON_DEMAND))
        if on_demand is None:
            continue
        spot = pools.get((group.name, CapacityType.SPOT))
        largest = min(one.largest for one in (on_demand, spot) if one is not None)
        usable.append(
            replace(
                group,
                spot=group.spot and spot is not None,
                max_nodes=min(group.max_nodes, largest),
                startup=startups.get(group.name, group.startup),
            )
        )
    return tuple(usable)


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The groups on which a pod may run, by its own choice and by the groups' taints."""

    rules: GroupRules
    groups: tuple[PlannedGroup, ...]

    def of(self, pod: ClusterPod) -> tuple[str, ...]:
        names = [group.name for group in self.groups]
        closed = {name for name in names if not self._tolerates(pod, name)}
        if not closed:
            return pod.groups
        chosen = pod.groups or tuple(names)
        # A name that no group has means that none will do: an empty choice would mean any.
        return tuple(name for name in chosen if name not in closed) or ("",)

    def _tolerates(self, pod: ClusterPod, group: str) -> bool:
        return all(pod.tolerates(taint) for taint in self.rules.taints.get(group, ()))


def _with_requests(required: RequiredReplicas, pods: Iterable[ClusterPod]) -> RequiredReplicas:
    """Return required replicas with the requests of the API's latest pod, which has all its containers."""
    own = [pod for pod in pods if pod.api == required.api]
    latest = max(own, key=lambda pod: (pod.since, pod.name), default=None)
    return replace(required, requests=latest.requests) if latest else required


def _pool(group: ObservedGroup, record: NodesRecord) -> NodePool:
    waiting, failure = record.waiting.get(group.pool), record.failures.get(group.pool)
    return NodePool(
        group=group.group,
        capacity=group.capacity,
        desired=group.desired,
        waiting_since=waiting.since if waiting else None,
        failed_at=failure.at if failure else None,
        failure=failure.message if failure else "",
    )


def _nodes(
    seen: ObservedCluster, groups: Iterable[PlannedGroup], record: NodesRecord
) -> Iterable[ClusterNode]:
    own = _requests_of_nodes(seen.pods)
    known = {group.name: group for group in groups}
    for scaling in seen.scaling:
        if (group := known.get(scaling.group)) is None:
            continue
        for one in seen.present(scaling):
            node, instance = seen.nodes.get(one.id), seen.instances.get(one.id)
            joined = node is not None and (node.ready or node.lost_since is not None)
            yield ClusterNode(
                name=one.id,
                group=scaling.group,
                capacity=scaling.capacity,
                instance_type=one.instance_type,
                zone=one.zone,
                allocatable=node.allocatable.minus(own[node.name]) if node and joined else group.allocatable,
                launched_at=instance.launched_at if instance else seen.now,
                state=NodeState.READY if joined else NodeState.STARTING,
                cordoned=node.cordoned if node else False,
                lost_since=node.lost_since if node else None,
            )


def _requests_of_nodes(pods: Iterable[ClusterPod]) -> defaultdict[str, NodeResources]:
    """Return the requests of the pods that belong to nodes, by node."""
    total: defaultdict[str, NodeResources] = defaultdict(lambda: NodeResources(pods=0))
    for pod in pods:
        if pod.of_node and pod.node:
            before = total[pod.node]
            total[pod.node] = NodeResources(
                cpu=before.cpu + pod.requests.cpu,
                memory=before.memory + pod.requests.memory,
                gpu=before.gpu + pod.requests.gpu,
                pods=before.pods + pod.requests.pods,
            )
    return total


def _placed(pod: ClusterPod, names: Mapping[str, str], allowed: _Allowed) -> PlacedPod:
    return PlacedPod(
        name=pod.name,
        node=names.get(pod.node, pod.node),
        requests=pod.requests,
        api=pod.api,
        started_at=pod.since,
        may_move=pod.may_move,
        groups=allowed.of(pod),
    )


def _outdated(
    seen: ObservedCluster, nodes: Iterable[ClusterNode], pods: Iterable[PlacedPod], record: NodesRecord
) -> Iterable[NodeNotice]:
    """Yield a notice for one node of each group that an earlier launch template made, the oldest one.

    The next one follows when that one is gone.
    """
    fixed = {pod.node for pod in pods if not pod.may_move}
    old = {one.id for group in seen.scaling for one in group.instances if group.is_outdated(one)}
    by_group: defaultdict[str, list[ClusterNode]] = defaultdict(list)
    for node in nodes:
        if node.name in old:
            by_group[node.group].append(node)
    for members in by_group.values():
        if any(node.name in record.plan.leaving for node in members):
            continue
        movable = [node for node in members if node.is_open and node.name not in fixed]
        if first := min(movable, key=lambda node: (node.launched_at, node.name), default=None):
            yield NodeNotice(node=first.name, kind=NoticeKind.OUTDATED, at=seen.now)


def _startups(seen: ObservedCluster) -> dict[str, float]:
    """Return how long the newest ready node of each group took, if its readiness is its first."""
    newest: dict[str, tuple[float, float]] = {}
    for group in seen.scaling:
        for one in seen.present(group):
            node, instance = seen.nodes.get(one.id), seen.instances.get(one.id)
            if node is None or instance is None or node.ready_since is None:
                continue
            took = node.ready_since - instance.launched_at
            if 0 < took < SOON:
                found = (instance.launched_at, took)
                newest[group.group] = max(found, newest.get(group.group, found))
    return {group: took for group, (_, took) in newest.items()}


def state_of(node: ClusterNode, memory: NodesMemory) -> str:
    """Return the state of a node, in one word."""
    if node.lost_since is not None:
        return "lost"
    if record := memory.leaving.get(node.name):
        return "draining" if record.draining else "leaving"
    return "cordoned" if node.cordoned else str(node.state)
