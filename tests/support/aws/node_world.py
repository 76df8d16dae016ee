"""A virtual Kubernetes whose nodes are the instances of an emulated account."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gyrus.aio.clock import SystemClock
from gyrus.cluster.aws.nodes.changes import NodeChanges
from gyrus.cluster.aws.nodes.driver import NodeDriver
from gyrus.cluster.aws.nodes.evictions import Evictions
from gyrus.cluster.aws.nodes.notice_queue import NoticeQueue
from gyrus.cluster.aws.nodes.observation import GroupRules
from gyrus.cluster.aws.nodes.observer import NodeObserver
from gyrus.cluster.aws.resource_names import CAPACITY_TAG, CLUSTER_TAG, GROUP_TAG, scaling_group
from gyrus.contract.cluster import API_LABEL, REPLICA_ROLE, ROLE_LABEL
from gyrus.kubernetes.amounts import CPU, allocatable, requested
from gyrus.kubernetes.resources import NODES, PODS, Manifest
from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import CapacityType, PlannedGroup, RequiredReplicas
from support.api_server import ApiServer
from support.aws.account import AwsAccount

NAMESPACE = "gyrus"
ZONE = "eu-west-1a"


@dataclass
class MemoryRecord:
    """The place of a driver's record, in memory."""

    document: bytes | None = None

    async def nodes_record(self) -> bytes | None:
        return self.document

    async def save_nodes_record(self, document: bytes) -> None:
        self.document = document


@dataclass
class NodeWorld:
    """One cluster: its Auto Scaling groups are in the account, its nodes and pods in memory."""

    account: AwsAccount
    name: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:8]}")
    server: ApiServer = field(default_factory=lambda: ApiServer(served=(NODES, PODS)))
    record: MemoryRecord = field(default_factory=MemoryRecord)
    required: tuple[RequiredReplicas, ...] = ()
    queue: str = ""
    _pods: int = 0

    # AWS

    def create(self, group: str, capacity: CapacityType, largest: int = 10, version: str = "1") -> str:
        """Create an Auto Scaling group as the template has it. Returns its name."""
        name = scaling_group(self.name, group, capacity)
        tags = {CLUSTER_TAG: self.name, GROUP_TAG: group, CAPACITY_TAG: str(capacity)}
        self.account.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=largest,
            AvailabilityZones=[ZONE],
            NewInstancesProtectedFromScaleIn=True,
            MixedInstancesPolicy=_policy(capacity, version),
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        )
        return name

    def change_template(self, group: str, capacity: CapacityType, version: str) -> None:
        """Let new instances have another version of the launch template."""
        self.account.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=scaling_group(self.name, group, capacity),
            MixedInstancesPolicy=_policy(capacity, version),
        )

    def create_queue(self) -> None:
        self.queue = self.account.client("sqs").create_queue(QueueName=self.name)["QueueUrl"]

    def groups(self) -> dict[str, Mapping[str, Any]]:
        """Return the Auto Scaling groups, by pool."""
        found = self.account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        tags = [({tag["Key"]: tag["Value"] for tag in one["Tags"]}, one) for one in found]
        return {
            f"{own[GROUP_TAG]}/{own[CAPACITY_TAG]}": one
            for own, one in tags
            if own.get(CLUSTER_TAG) == self.name
        }

    @property
    def desired(self) -> dict[str, int]:
        """The pools with instances, and how many each shall have."""
        return {pool: one["DesiredCapacity"] for pool, one in self.groups().items() if one["DesiredCapacity"]}

    def warn(self, instance: str, kind: str = "EC2 Spot Instance Interruption Warning") -> None:
        """Send a message as EventBridge does."""
        body = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": "aws.ec2",
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "detail": {"instance-id": instance, "instance-action": "terminate"},
        }
        self.account.client("sqs").send_message(QueueUrl=self.queue, MessageBody=json.dumps(body))

    def interrupt(self, instance: str) -> None:
        """End an instance as EC2 does when it needs the capacity."""
        self.account.client("ec2").terminate_instances(InstanceIds=[instance])

    @property
    def messages(self) -> int:
        """The messages in the queue, received ones included."""
        sqs = self.account.client("sqs")
        counts = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in counts.items() if name.startswith("ApproximateNumber"))

    # Kubernetes

    def require(self, replicas: int, api: str = "iris") -> None:
        """Let the autoscaler require so many replicas, each with the requests of :meth:`add_pods`."""
        requests = NodeResources(cpu=1000, memory=GIB)
        self.required = (RequiredReplicas(api=api, replicas=replicas, requests=requests),)

    def add_pods(self, count: int, cpu: str = "1", api: str = "iris") -> None:
        """Create replicas that no node has yet."""
        for _ in range(count):
            self._pods += 1
            labels = {ROLE_LABEL: REPLICA_ROLE, API_LABEL: api} if api else {}
            name = f"{api or 'pod'}-{self._pods}"
            self.server.put(PODS, pod(name, cpu=cpu, labels=labels))

    async def settled(self, check: Callable[[], bool], within: float = 15.0) -> None:
        """Let the cluster go on until a check of it holds."""
        async with asyncio.timeout(within):
            while not check():
                self.step()
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)  # for the watches

    def step(self) -> None:
        """Let instances in service join, forget those that are gone, and schedule pods."""
        running = {
            one["InstanceId"]: own
            for own in self.groups().values()
            for one in own["Instances"]
            if one["LifecycleState"] == "InService"
        }
        for name, node in self.nodes.items():
            if node["spec"]["providerID"].rpartition("/")[2] not in running:
                self.server.remove(NODES, name)
                for orphan in self.pods_on(name):
                    self.server.remove(PODS, orphan, NAMESPACE)
        known = {node["spec"]["providerID"].rpartition("/")[2] for node in self.nodes.values()}
        for instance in running.keys() - known:
            self.server.put(NODES, ready_node(instance))
        self._schedule()

    def _schedule(self) -> None:
        free = {
            name: allocatable(manifest)[CPU]
            - sum(requested(self.pods[pod])[CPU] for pod in self.pods_on(name))
            for name, manifest in self.nodes.items()
            if not manifest["spec"].get("unschedulable")
        }
        for manifest in self.pods.values():
            needs = requested(manifest)[CPU]
            fitting = [each for each in free if free[each] >= needs]
            if not manifest["spec"].get("nodeName") and fitting:
                change = {**manifest, "spec": {**manifest["spec"], "nodeName": fitting[0]}}
                self.server.put(PODS, change)
                free[fitting[0]] -= needs

    def _requested_on(self, node: str) -> Decimal:
        return sum((requested(self.pods[pod])[CPU] for pod in self.pods_on(node)), Decimal(0))

    def replace_evacuated(self) -> None:
        """Replace the replicas of cordoned nodes as control does: the new one is ready, the old one ends."""
        for name, manifest in self.nodes.items():
            if not manifest["spec"].get("unschedulable"):
                continue
            for old in self.pods_on(name):
                replacement = f"{old}-again"
                if replacement not in self.pods:
                    labels = self.pods[old]["metadata"]["labels"]
                    self.server.put(PODS, pod(replacement, labels=labels))
                elif self.pods[replacement]["spec"].get("nodeName"):
                    self.server.remove(PODS, old, NAMESPACE)

    @property
    def nodes(self) -> dict[str, Manifest]:
        return {key[2]: found for key, found in self.server.objects.items() if key[0] == NODES.plural}

    @property
    def pods(self) -> dict[str, Manifest]:
        return {key[2]: found for key, found in self.server.objects.items() if key[0] == PODS.plural}

    def pods_on(self, node: str) -> list[str]:
        return [name for name, found in self.pods.items() if found["spec"].get("nodeName") == node]

    @property
    def waiting(self) -> list[str]:
        return [name for name, found in self.pods.items() if not found["spec"].get("nodeName")]

    # The driver

    def driver(self, *groups: PlannedGroup, clock: Any = None, **rules: Any) -> NodeDriver:
        aws, client, clock = self.account.calls(**rules), self.server.client(), clock or SystemClock()

        async def required() -> tuple[RequiredReplicas, ...]:
            return self.required

        observer = NodeObserver(aws, self.name, client, clock, required)
        return NodeDriver(
            observer=observer,
            changes=NodeChanges(aws, client, observer, Evictions(client)),
            queue=NoticeQueue(aws, self.queue, clock) if self.queue else None,
            store=self.record,
            rules=lambda: GroupRules(groups=groups),
            clock=clock,
            publish=lambda view: None,
        )


def _policy(capacity: CapacityType, version: str) -> dict[str, Any]:
    share = 0 if capacity is CapacityType.SPOT else 100
    return {
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": share},
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": version},
            "Overrides": [{"InstanceType": "m6i.xlarge"}],
        },
    }


def ready_node(instance: str, cpu: str = "3800m") -> Manifest:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": f"ip-{instance[2:]}", "creationTimestamp": now},
        "spec": {"providerID": f"aws:///{ZONE}/{instance}"},
        "status": {
            "allocatable": {"cpu": cpu, "memory": "14Gi", "pods": "50"},
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
        },
    }


def pod(name: str, *, cpu: str = "1", labels: Mapping[str, str] | None = None, **spec: Any) -> Manifest:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": now,
            "labels": dict(labels or {}),
            "ownerReferences": [{"kind": "API", "name": "iris", "uid": "none", "controller": True}],
        },
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}],
            **spec,
        },
        "status": {"phase": "Pending"},
    }


@dataclass
class AdvancedClock(SystemClock):
    """The machine's clock, ahead by some seconds."""

    ahead: float = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)
