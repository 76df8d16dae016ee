"""The drain of a node: its pods are evicted, as disruption budgets allow.

A replica is not evicted: the operator replaces the replicas of a cordoned node, and ends each one when no
gateway routes to it any more. Only when EC2 is about to end the instance, those that are left end in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.cluster.aws.nodes.node_pods import ClusterPod
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError, ObjectConflict, ObjectNotFound, TooManyRequests
from gyrus.kubernetes.resources import DISRUPTION_BUDGETS, PODS

log = logging.getLogger(__name__)

LAST_SECONDS = 45.0
"""Seconds before the end of an instance from which replicas end without a replacement, too. All gateways
leave them first, which takes up to 30 s."""


@dataclass(slots=True)
class Evictions:
    """Evicts pods."""

    client: ClusterClient
    _version: str = ""
    """The version of the cluster's evictions; "" before it is known."""

    async def drain(self, pods: Sequence[ClusterPod], left: float, failures: list[str]) -> None:
        """Evict the pods of one node. ``left``: seconds until its instance ends; infinite if it does not.

        A pod that a budget keeps is evicted at the next call.
        """
        hurried = left <= LAST_SECONDS
        async with asyncio.TaskGroup() as group:
            for pod in pods:
                if pod.of_node or pod.deleted or not (pod.may_move or hurried) or (pod.api and not hurried):
                    continue
                group.create_task(self._evict(pod, failures, hurried=hurried), name=f"eviction of {pod.name}")

    async def _evict(self, pod: ClusterPod, failures: list[str], *, hurried: bool) -> None:
        namespace, _, name = pod.name.partition("/")
        try:
            await self.client.evict(name, namespace, version=await self._of_cluster())
        except (ObjectNotFound, ObjectConflict):
            log.debug("the pod %s is gone", pod.name)
        except TooManyRequests as error:
            if hurried and pod.api:
                await self._delete(name, namespace, failures)
            else:
                log.debug("the pod %s stays: %s", pod.name, error)
        except KubernetesError as error:
            failures.append(f"{pod.name} is not evicted: {error}")

    async def _delete(self, name: str, namespace: str, failures: list[str]) -> None:
        """Delete a pod that no budget saves: its node ends in any case, and this way it ends in order."""
        try:
            await self.client.delete(PODS, name, namespace)
        except ObjectNotFound:
            log.debug("the pod %s is gone", name)
        except KubernetesError as error:
            failures.append(f"{namespace}/{name} does not end: {error}")

    async def _of_cluster(self) -> str:
        if not self._version:
            known = await self.client.has(DISRUPTION_BUDGETS)
            self._version = "policy/v1" if known else "policy/v1beta1"
        return self._version
