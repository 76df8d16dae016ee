"""The effects of a plan of nodes: on Auto Scaling groups, and on nodes and pods.

Each effect may be repeated without harm. A failure of one stops no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.errors import AwsError, AwsRejected
from gyrus.cluster.aws.nodes.evictions import Evictions
from gyrus.cluster.aws.nodes.observation import ObservedCluster
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup
from gyrus.contract.cluster import CORDON_ANNOTATION
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError, ObjectNotFound
from gyrus.kubernetes.resources import NODES
from gyrus.nodes.node_plan import NodePlan, NodeStep, PoolTarget
from gyrus.nodes.state import NodesState

log = logging.getLogger(__name__)

GONE = "not found"
"""Part of Auto Scaling's refusal to end an instance that has ended."""


class ScalingReader(Protocol):
    """Reads Auto Scaling groups again."""

    async def scaling(self, *names: str) -> tuple[ObservedGroup, ...]: ...


@dataclass(slots=True)
class CarriedOut:
    """The outcome of carrying out one plan."""

    failures: list[str] = field(default_factory=list[str])
    """The changes that failed, each with its reason."""

    def note(self, what: str, error: Exception) -> None:
        self.failures.append(f"{what}: {error}")


@dataclass(frozen=True, slots=True)
class NodeChanges:
    """Carries out plans."""

    aws: AwsCaller
    client: ClusterClient
    reader: ScalingReader
    evictions: Evictions

    async def carry_out(self, plan: NodePlan, state: NodesState, seen: ObservedCluster) -> CarriedOut:
        """Change what the plan changes. ``state``, ``seen``: what the plan was made from, just now."""
        outcome = CarriedOut()
        ends: defaultdict[str, list[NodeStep]] = defaultdict(list)
        pools = {node.name: node.pool for node in state.nodes}
        for step in plan.end:
            ends[pools[step.node]].append(step)
        targets = {target.pool: target for target in plan.pools}
        async with asyncio.TaskGroup() as group:
            for one in seen.scaling:
                if target := targets.get(one.pool):
                    body = self._resize(one, target, ends[one.pool], outcome)
                    group.create_task(body, name=f"nodes: size of {one.name}")
            for node, work in self._of_nodes(plan, state, seen, outcome).items():
                group.create_task(_in_order(work), name=f"nodes: {node}")
        return outcome

    # Auto Scaling groups

    async def _resize(
        self, group: ObservedGroup, target: PoolTarget, ends: Sequence[NodeStep], outcome: CarriedOut
    ) -> None:
        """End nodes, each with a decrement of the desired capacity, and then set the rest of the change."""
        expected, failures = group.desired - len(ends), len(outcome.failures)
        for step in ends:
            await self._end(step, outcome)
        if target.desired == expected or len(outcome.failures) > failures:
            return
        try:
            await self._set_desired(group, target, expected, outcome)
        except AwsError as error:
            outcome.note(f"{target.pool} does not get {target.desired} nodes", error)

    async def _end(self, step: NodeStep, outcome: CarriedOut) -> None:
        try:
            await self.aws.call(
                "autoscaling",
                "terminate_instance_in_auto_scaling_group",
                InstanceId=step.node,
                ShouldDecrementDesiredCapacity=True,
            )
        except AwsRejected as error:
            if GONE not in error.reason.lower():
                outcome.note(f"{step.node} does not end", error)
        except AwsError as error:
            outcome.note(f"{step.node} does not end", error)

    async def _set_desired(
        self, group: ObservedGroup, target: PoolTarget, expected: int, outcome: CarriedOut
    ) -> None:
        """Set the desired capacity, unless it is another one than the plan was made for."""
        now = {one.name: one.desired for one in await self.reader.scaling(group.name)}.get(group.name)
        if now != expected:
            message = (
                f"{target.pool} stays at {now} nodes, since its size was changed from {expected} meanwhile"
            )
            outcome.failures.append(message)
            return
        await self.aws.call(
            "autoscaling",
            "set_desired_capacity",
            AutoScalingGroupName=group.name,
            DesiredCapacity=target.desired,
            HonorCooldown=False,
        )

    # Nodes

    def _of_nodes(
        self, plan: NodePlan, state: NodesState, seen: ObservedCluster, outcome: CarriedOut
    ) -> Mapping[str, list[Awaitable[None]]]:
        """Return what is to be done to each node, in order."""
        work: defaultdict[str, list[Awaitable[None]]] = defaultdict(list)
        ends = {notice.node: notice.ends_at for notice in state.notices if notice.ends_at is not None}
        staying = {node.name for node in state.nodes} - plan.memory.leaving.keys()
        for step in plan.cordon:
            if node := seen.nodes.get(step.node):
                work[node.name].append(self._cordon(node.name, step.reason, outcome))
        for instance in staying:
            node = seen.nodes.get(instance)
            if node is not None and node.cordoned and node.cordoned_by_gyrus and not _ends(plan, instance):
                work[node.name].append(self._uncordon(node.name, outcome))
        for step in plan.drain:
            if node := seen.nodes.get(step.node):
                pods = [pod for pod in seen.pods if pod.node == node.name]
                left = ends.get(step.node, float("inf")) - state.now
                work[node.name].append(self.evictions.drain(pods, left, outcome.failures))
        return work

    async def _cordon(self, node: str, reason: str, outcome: CarriedOut) -> None:
        change = {
            "metadata": {"annotations": {CORDON_ANNOTATION: reason}},
            "spec": {"unschedulable": True},
        }
        await self._patch(node, change, f"{node} is not cordoned", outcome)

    async def _uncordon(self, node: str, outcome: CarriedOut) -> None:
        change = {
            "metadata": {"annotations": {CORDON_ANNOTATION: None}},
            "spec": {"unschedulable": None},
        }
        await self._patch(node, change, f"{node} stays cordoned", outcome)

    async def _patch(self, node: str, change: Mapping[str, object], what: str, outcome: CarriedOut) -> None:
        try:
            await self.client.patch(NODES, node, change)
        except ObjectNotFound:
            log.debug("the node %s is gone", node)
        except KubernetesError as error:
            outcome.note(what, error)


def _ends(plan: NodePlan, instance: str) -> bool:
    return any(step.node == instance for step in plan.end)


async def _in_order(work: Sequence[Awaitable[None]]) -> None:
    for one in work:
        await one
