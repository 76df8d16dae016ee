"""The look at a cluster: all its parts at the same time, each with its own failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import found_stacks
from gyrus.cluster.aws.eks import EksCluster, find_cluster
from gyrus.cluster.aws.errors import AwsCredentialsRefused, NoAwsCredentials
from gyrus.cluster.aws.inspection import aws_readings
from gyrus.cluster.aws.inspection.facts import ClusterFacts, KubernetesFacts, UnreadPart
from gyrus.cluster.aws.nodes.cluster_nodes import kubernetes_nodes
from gyrus.cluster.aws.nodes.node_pods import cluster_pods
from gyrus.cluster.aws.resource_names import bucket_name, log_group, queue_name
from gyrus.cluster.aws.stacks import Stacks
from gyrus.cluster.errors import ClusterError
from gyrus.cluster.overview import overview
from gyrus.cluster.ports import InstallationReader
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import NODES, PODS

T = TypeVar("T")
ReadKubernetes = Callable[[EksCluster], Awaitable[KubernetesFacts]]
"""Connects to a cluster and reads it. Raises ClusterError and KubernetesError."""


@dataclass(frozen=True, slots=True)
class ClusterObserver:
    """Observes one cluster."""

    aws: AwsCaller
    stacks: Stacks
    spec: ClusterSpec
    kubernetes: ReadKubernetes

    async def observe(self, now: datetime) -> ClusterFacts:
        """Return what is known. Raises AwsError if the credentials are of no use."""
        aws, spec, name = self.aws, self.spec, self.spec.cluster_name
        account = str((await aws.call("sts", "get_caller_identity"))["Account"])
        async with asyncio.TaskGroup() as group:

            def start(part: str, reading: Awaitable[T]) -> asyncio.Task[T | UnreadPart]:
                return group.create_task(read(reading), name=f"inspect {part}")

            stacks = start("stacks", found_stacks(self.stacks, name))
            eks = start("control plane", find_cluster(aws, name, spec.region))
            add_ons = start("add-ons", aws_readings.add_ons(aws, name))
            scaling = start("node groups", aws_readings.scaling(aws, name, now))
            balancers = start("load balancers", aws_readings.balancers(aws, name))
            queue = start("queue", aws_readings.queue(aws, queue_name(name), now))
            bucket = start("bucket", aws_readings.has_bucket(aws, bucket_name(spec, account)))
            logs = start("log group", aws_readings.has_log_group(aws, log_group(name)))
        return ClusterFacts(
            account=account,
            stacks=stacks.result(),
            eks=eks.result(),
            add_ons=add_ons.result(),
            scaling=scaling.result(),
            balancers=balancers.result(),
            queue=queue.result(),
            bucket=bucket.result(),
            log_group=logs.result(),
            kubernetes=await self._kubernetes(eks.result()),
        )

    async def _kubernetes(self, cluster: EksCluster | UnreadPart | None) -> KubernetesFacts | UnreadPart:
        match cluster:
            case UnreadPart():
                return UnreadPart("The control plane's address is not known.", cluster.remedy)
            case None:
                return UnreadPart("There is no EKS cluster.", "Create it with: gyrus cluster up")
            case EksCluster(endpoint=""):
                return UnreadPart(
                    f"The control plane is {cluster.status}, and has no address.", "Wait for it"
                )
            case _:
                return await read(self.kubernetes(cluster))


async def read(reading: Awaitable[T]) -> T | UnreadPart:
    """Return a reading, or why it failed. Raises AwsError if the credentials are of no use."""
    try:
        return await reading
    except (ClusterError, KubernetesError, ExceptionGroup) as error:
        return _unread(error)


def _unread(error: Exception) -> UnreadPart:
    """Return why a reading failed. Any other failure than those of AWS and Kubernetes is raised."""
    match error:
        case NoAwsCredentials() | AwsCredentialsRefused():
            raise error
        case ClusterError():
            return UnreadPart(error.message, error.remedy)
        case KubernetesError():
            return UnreadPart(f"{str(error).removesuffix('.')}.")
        case ExceptionGroup():  # of calls at the same time
            return _unread(error.exceptions[0])
        case _:
            raise error


async def read_kubernetes(client: InstallationReader, namespace: str) -> KubernetesFacts:
    """Return what a cluster's Kubernetes knows. Raises KubernetesError."""
    return KubernetesFacts(
        nodes=kubernetes_nodes((await client.list(NODES)).items),
        pods=cluster_pods((await client.list(PODS)).items),
        installation=await read(overview(client, namespace)),
    )
