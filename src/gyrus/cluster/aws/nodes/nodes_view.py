"""The nodes as the operator's API and its metrics show them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from gyrus.cluster.aws.nodes.observation import ObservedCluster, state_of
from gyrus.contract.nodes import NodeChangeView, NodePoolView, NodesView, NodeView
from gyrus.contract.operator import AmountView
from gyrus.contract.times import rfc3339
from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import ClusterNode, NodePool, NodesState, PlacedPod, PoolRecord

KEPT = 100
"""Changes that are kept, the latest ones."""


def nodes_view(state: NodesState, plan: NodePlan, seen: ObservedCluster) -> NodesView:
    """Return what is known after a plan. The driver adds faults, failures and changes."""
    pods: defaultdict[str, list[PlacedPod]] = defaultdict(list)
    for pod in state.pods:
        pods[pod.node].append(pod)
    return NodesView(
        scaler=state.scaler,
        time=time_of(state.now),
        pools=tuple(_pool(pool, state, plan) for pool in state.pools),
        nodes=tuple(_node(node, state, plan, seen, pods[node.name]) for node in state.nodes),
        unplaced=tuple(f"{pod.pod}: {pod.reason}" for pod in plan.unplaced),
    )


def changes_of(state: NodesState, plan: NodePlan, seen: ObservedCluster) -> Iterator[str]:
    """Yield what a plan changes, each in a sentence without its full stop."""
    for bar in plan.bar:
        until = datetime.fromtimestamp(bar.until, UTC)
        yield f"{bar.pool} gets no new nodes until {until:%H:%M:%S} UTC: {bar.reason}"
    for target in plan.pools:
        if target.desired != target.was:
            why = f", because {'; '.join(target.reasons)}" if target.reasons else ""
            yield f"node group {target.pool}: {target.was} → {target.desired}{why}"
    drained = {step.node for step in plan.drain}
    before = state.memory.leaving
    for step in plan.cordon:
        if step.node not in before:
            yield f"{_name(step.node, seen)} leaves: {step.reason}"
    for node in sorted(drained):
        known = before.get(node)
        if known is None or not known.draining:
            yield f"{_name(node, seen)} is drained: {plan.memory.leaving[node].reason}"
    for step in plan.end:
        yield f"{_name(step.node, seen)} ends: {step.reason}"


def with_changes(
    known: Sequence[NodeChangeView], messages: Iterable[str], now: float
) -> tuple[NodeChangeView, ...]:
    """Return the latest changes, with new ones."""
    new = (NodeChangeView(time=time_of(now), message=message) for message in messages)
    return (*known, *new)[-KEPT:]


def time_of(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def _name(instance: str, seen: ObservedCluster) -> str:
    node = seen.nodes.get(instance)
    return f"node {node.name} ({instance})" if node else f"instance {instance}"


def _pool(pool: NodePool, state: NodesState, plan: NodePlan) -> NodePoolView:
    record = plan.memory.pools.get(pool.name, PoolRecord())
    targets = {target.pool: target.desired for target in plan.pools}
    return NodePoolView(
        group=pool.group,
        capacity_type=pool.capacity,
        desired=targets.get(pool.name, pool.desired),
        nodes=Counter(node.pool for node in state.nodes)[pool.name],
        barred_until=time_of(record.barred_until) if record.barred_until > state.now else None,
        failure=pool.failure,
    )


def _node(
    node: ClusterNode, state: NodesState, plan: NodePlan, seen: ObservedCluster, pods: Sequence[PlacedPod]
) -> NodeView:
    known, leaving = seen.nodes.get(node.name), plan.memory.leaving.get(node.name)
    return NodeView(
        name=known.name if known else "",
        instance=node.name,
        group=node.group,
        capacity_type=node.capacity,
        instance_type=node.instance_type,
        zone=node.zone,
        state=state_of(node, plan.memory),
        reason=leaving.reason if leaving else "",
        launched_at=time_of(node.launched_at),
        replicas=sum(bool(pod.api) for pod in pods),
        pods=len(pods),
        requested=_amounts([pod.requests for pod in pods]),
        allocatable=_amounts([node.allocatable]),
    )


def _amounts(amounts: Sequence[NodeResources]) -> AmountView:
    return AmountView(
        cpu=sum(each.cpu for each in amounts) / 1000,
        mem=sum(each.memory for each in amounts),
        gpu=sum(each.gpu for each in amounts),
    )
