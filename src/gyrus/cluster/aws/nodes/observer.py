"""The look at a cluster's nodes: AWS's answers, and the copies of Kubernetes' objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gyrus.aio.clock import Clock
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.nodes.cluster_nodes import kubernetes_nodes
from gyrus.cluster.aws.nodes.node_pods import cluster_pods
from gyrus.cluster.aws.nodes.observation import ObservedCluster
from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure, last_failure
from gyrus.cluster.aws.nodes.scaling_groups import (
    Ec2Instance,
    ObservedGroup,
    ec2_instances,
    scaling_groups,
)
from gyrus.cluster.aws.resource_names import CLUSTER_TAG
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import NODES, PODS
from gyrus.nodes.state import RequiredReplicas

AT_ONCE = 20
"""Activities of one Auto Scaling group that are read, the latest ones."""

Required = Callable[[], Awaitable[tuple[RequiredReplicas, ...]]]
"""Returns the replicas that each API's autoscaler requires. Raises StateError."""


class StaleObjects(Exception):
    """The copies of Kubernetes' objects do not follow the cluster at present."""


@dataclass(slots=True)
class NodeObserver:
    """Observes the nodes of one cluster."""

    aws: AwsCaller
    cluster: str
    client: ClusterClient
    clock: Clock
    required: Required
    nodes: Reflector = field(init=False)
    pods: Reflector = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = Reflector(self.client, Selection(resource=NODES), self.clock)
        self.pods = Reflector(self.client, Selection(resource=PODS), self.clock)

    async def follow(self) -> None:
        """Follow nodes and pods until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.nodes.run(), name="nodes: watch of nodes")
            group.create_task(self.pods.run(), name="nodes: watch of pods")

    async def listed(self) -> None:
        """Wait until nodes and pods are known."""
        await self.nodes.listed()
        await self.pods.listed()

    async def observe(self) -> ObservedCluster:
        """Return one look. Raises StaleObjects, AwsError, StateError in an ExceptionGroup."""
        async with asyncio.TaskGroup() as group:
            scaling = group.create_task(self.scaling(), name="nodes: Auto Scaling groups")
            instances = group.create_task(self._instances(), name="nodes: instances")
            required = group.create_task(self._required(), name="nodes: required replicas")
        async with asyncio.TaskGroup() as group:
            failures = {
                one.pool: group.create_task(self._failure(one), name=f"nodes: activities of {one.name}")
                for one in scaling.result()
                if one.is_short
            }
        self._check_fresh()
        found = {pool: failure for pool, task in failures.items() if (failure := task.result())}
        return ObservedCluster(
            now=self.clock.now().timestamp(),
            scaling=scaling.result(),
            instances=instances.result(),
            failures=found,
            nodes=kubernetes_nodes(self.nodes.objects.values()),
            pods=cluster_pods(self.pods.objects.values()),
            required=required.result(),
        )

    async def scaling(self, *names: str) -> tuple[ObservedGroup, ...]:
        """Return the cluster's Auto Scaling groups, or those with these names. Raises AwsError."""
        chosen: dict[str, Any] = {"AutoScalingGroupNames": [*names]} if names else {"Filters": [self._tag]}
        described = await self.aws.pages(
            "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", **chosen
        )
        return scaling_groups(described, self.cluster)

    @property
    def _tag(self) -> dict[str, Any]:
        return {"Name": f"tag:{CLUSTER_TAG}", "Values": [self.cluster]}

    async def _instances(self) -> dict[str, Ec2Instance]:
        described = await self.aws.pages("ec2", "describe_instances", "Reservations", Filters=[self._tag])
        return ec2_instances(described)

    async def _required(self) -> tuple[RequiredReplicas, ...]:
        return await self.required()

    async def _failure(self, group: ObservedGroup) -> LaunchFailure | None:
        answer = await self.aws.call(
            "autoscaling",
            "describe_scaling_activities",
            AutoScalingGroupName=group.name,
            MaxRecords=AT_ONCE,
        )
        return last_failure(answer.get("Activities", ()), self.clock.now().timestamp())

    def _check_fresh(self) -> None:
        for reflector in (self.nodes, self.pods):
            fault: KubernetesError | None = reflector.fault
            if fault is not None:
                raise StaleObjects(str(fault)) from fault
            if not reflector.version:
                raise StaleObjects("nodes and pods have not been listed yet")
