"""The nodes of a group after its change: replaced one after the other, or emptied before the group ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gyrus.aio.clock import Clock
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.creation import ReportLine
from gyrus.cluster.aws.errors import NodesRemain
from gyrus.cluster.aws.group_sizes import described_groups
from gyrus.cluster.aws.nodes.cluster_nodes import kubernetes_nodes
from gyrus.cluster.aws.nodes.evictions import Evictions
from gyrus.cluster.aws.nodes.node_pods import ClusterPod, cluster_pods
from gyrus.cluster.aws.resource_names import CAPACITY_TAG, GROUP_TAG, group_prefix
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import NODES, PODS, name_of

POLL = 2.0
"""Seconds between two looks."""
WITHIN = 1800
"""Seconds within which a group's nodes must be replaced, or empty."""


@dataclass(frozen=True, slots=True)
class NodeRollout:
    """Follows the nodes of a cluster's groups."""

    aws: AwsCaller
    client: ClusterClient
    spec: ClusterSpec
    clock: Clock
    report: ReportLine
    reported: set[str] = field(default_factory=set[str])
    """Instances that stay, and that were reported."""

    async def renew(self, stack: str) -> None:
        """Wait until the operator has replaced the nodes that an older launch template made.

        A node with a pod that must not move stays, such as the one with the operator's volume.
        Raises AwsError, KubernetesError, and NodesRemain when the time is up.
        """
        group = stack.removeprefix(group_prefix(self.spec.cluster_name))
        if self.spec.scaler != "gyrus":
            self.report(f"{group}: nodes that run keep their settings; new ones have the changed ones")
            return
        until, last = self.clock.monotonic() + WITHIN, -1
        while outdated := await self._replaceable(group):
            if len(outdated) != last:
                self.report(f"{group}: {len(outdated)} nodes are to be replaced")
                last = len(outdated)
            if self.clock.monotonic() > until:
                raise NodesRemain(group, "replaced", outdated)
            await self.clock.sleep(POLL)

    async def empty(self, group: str, capacity: str | None = None) -> None:
        """Cordon the nodes of a group, or of one capacity type, and wait until their pods run elsewhere.

        Raises AwsError, KubernetesError, and NodesRemain when the time is up.
        """
        evictions = Evictions(self.client)
        until, last = self.clock.monotonic() + WITHIN, -1
        while pods := await self._pods(group, capacity):
            if len(pods) != last:
                self.report(f"{group}: {len(pods)} pods are to move")
                last = len(pods)
            failures: list[str] = []
            await evictions.drain(pods, math.inf, failures)
            if self.clock.monotonic() > until:
                raise NodesRemain(group, "empty", [pod.name for pod in pods] + failures)
            await self.clock.sleep(POLL)

    async def _replaceable(self, group: str) -> list[str]:
        if not (outdated := await self._outdated(group)):
            return []
        fixed = await self._fixed(group)
        return [instance for instance in outdated if instance not in fixed]

    async def _outdated(self, group: str) -> list[str]:
        return [
            instance.id
            for found in await described_groups(self.aws, self.spec.cluster_name)
            if found.group == group
            for instance in found.instances
            if found.is_outdated(instance) and not instance.leaves
        ]

    async def _fixed(self, group: str) -> set[str]:
        """Return the instances of a group with pods that must not move, and report each once."""
        nodes = (await self.client.list(NODES, labels=f"{GROUP_TAG}={group}")).items
        found = {node.name: node.instance for node in kubernetes_nodes(nodes).values()}
        pods = cluster_pods((await self.client.list(PODS)).items)
        fixed = {found[pod.node]: pod.name for pod in pods if pod.node in found and not pod.may_move}
        for instance in fixed.keys() - self.reported:
            self.report(f"{group}: {instance} keeps its settings: {fixed[instance]} must not move from it")
        self.reported.update(fixed)
        return set(fixed)

    async def _pods(self, group: str, capacity: str | None) -> Sequence[ClusterPod]:
        """Cordon the group's nodes, and return the pods on them that do not belong to them."""
        labels = f"{GROUP_TAG}={group}" + (f",{CAPACITY_TAG}={capacity}" if capacity else "")
        nodes = {name_of(node): node for node in (await self.client.list(NODES, labels=labels)).items}
        for name, node in nodes.items():
            if not node.get("spec", {}).get("unschedulable"):
                await self.client.patch(NODES, name, {"spec": {"unschedulable": True}})
        pods = cluster_pods((await self.client.list(PODS)).items)
        return [pod for pod in pods if pod.node in nodes and not pod.of_node]
