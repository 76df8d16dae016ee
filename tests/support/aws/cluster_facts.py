"""Facts of clusters, for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gyrus.cluster.addresses import ServiceAddress
from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.eks import EksCluster
from gyrus.cluster.aws.inspection.facts import (
    AddOnState,
    ClusterFacts,
    KubernetesFacts,
    QueueState,
    ScalingFacts,
)
from gyrus.cluster.aws.nodes.cluster_nodes import KubernetesNode
from gyrus.cluster.aws.nodes.node_pods import ClusterPod
from gyrus.cluster.aws.nodes.scaling_groups import GroupInstance, ObservedGroup
from gyrus.cluster.aws.stack_state import StackStatus
from gyrus.cluster.aws.templates.control_plane import ON_EACH_NODE, ON_SOME_NODES
from gyrus.cluster.health import PartHealth
from gyrus.cluster.overview import Credentials, Overview
from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import CapacityType

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
NODE = NodeResources(cpu=1930, memory=7 * GIB, pods=29)


def cluster(groups: str = "[{name: cpu, instance_type: m5.large}]", more: str = "") -> ClusterSpec:
    text = f"cluster_name: vision\nregion: us-east-1\nnode_groups: {groups}\n{more}\n"
    return parse_cluster(text, "cluster.yaml")


def stack(name: str, status: str = "CREATE_COMPLETE", reason: str = "") -> StackStatus:
    outputs = {"Zones": "us-east-1a,us-east-1b"}
    return StackStatus(name=name, stack_id=name, status=status, reason=reason, outputs=outputs)


def scaling_group(*instances: str, desired: int = 1, version: str = "1", **more: Any) -> ObservedGroup:
    known = ObservedGroup(
        name="gyrus-vision--cpu.on-demand",
        group="cpu",
        capacity=CapacityType.ON_DEMAND,
        desired=desired,
        largest=5,
        version=version,
        instances=tuple(
            GroupInstance(id=one, instance_type="m5.large", zone="us-east-1a", leaves=False, version="1")
            for one in instances
        ),
    )
    return replace(known, **more)


def node(name: str, *, ready: bool = True, cordoned: bool = False) -> KubernetesNode:
    return KubernetesNode(
        name=name,
        instance=name,
        allocatable=NODE,
        ready=ready,
        lost_since=None,
        ready_since=None,
        cordoned=cordoned,
        cordoned_by_gyrus=False,
    )


def pod(on: str, *, api: str = "", cpu: int = 500) -> ClusterPod:
    return ClusterPod(
        name="gyrus/a",
        node=on,
        requests=NodeResources(cpu=cpu, memory=GIB),
        api=api,
        since=0,
        of_node=False,
        may_move=True,
        deleted=False,
        groups=(),
        tolerations=(),
    )


def installation(**more: Any) -> Overview:
    known = Overview(
        namespace="gyrus",
        version="0.1.0",
        parts=[
            PartHealth(name="gyrus-operator", ready=1, requested=1, up_to_date=True),
            PartHealth(name="gyrus-gateway", ready=2, requested=2, up_to_date=True),
        ],
        operator=ServiceAddress("operator.example.com", 443, True),
        gateway=ServiceAddress("apis.example.com", 80, True),
        credentials=Credentials(token="t", authority="a"),
        repair="Run again: gyrus cluster install",
    )
    return replace(known, **more)


HEALTHY = ClusterFacts(
    account=ACCOUNT,
    stacks=FoundStacks(stack("gyrus-vision"), {"cpu": stack("gyrus-vision--cpu")}),
    eks=EksCluster(
        name="vision",
        region="us-east-1",
        status="ACTIVE",
        version="1.34",
        endpoint="https://k8s.example.com",
        authority="",
        tags={},
    ),
    add_ons={name: AddOnState(status="ACTIVE", version="v1") for name in (*ON_EACH_NODE, *ON_SOME_NODES)},
    scaling=ScalingFacts(groups=(scaling_group("i-1"),)),
    balancers=(),
    queue=QueueState(url="https://sqs/gyrus-vision", messages=0, oldest_seconds=None),
    bucket=True,
    log_group=True,
    kubernetes=KubernetesFacts(
        nodes={"i-1": node("i-1")}, pods=(pod("i-1", api="iris"), pod("i-1")), installation=installation()
    ),
)


def facts(**changes: Any) -> ClusterFacts:
    return replace(HEALTHY, **changes)
