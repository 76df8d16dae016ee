"""The health of each part, with its exact message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gyrus.cluster.addresses import ServiceAddress
from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.inspection.checks import PartCheck, part_checks
from gyrus.cluster.aws.inspection.facts import (
    AddOnState,
    BalancerState,
    KubernetesFacts,
    QueueState,
    ScalingFacts,
    UnreadPart,
)
from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure
from gyrus.cluster.health import PartHealth, PartProblem
from support.aws.cluster_facts import (
    HEALTHY,
    NOW,
    cluster,
    facts,
    installation,
    node,
    scaling_group,
    stack,
)


def wrong(**changes: Any) -> list[str]:
    return [str(one) for one in part_checks(cluster(), facts(**changes), NOW) if not one.healthy]


def state_of(part: str, **changes: Any) -> PartCheck:
    return next(one for one in part_checks(cluster(), facts(**changes), NOW) if one.part == part)


def test_a_healthy_cluster() -> None:
    assert [str(one) for one in part_checks(cluster(), HEALTHY, NOW)] == [
        "stack gyrus-vision: CREATE_COMPLETE",
        "stack gyrus-vision--cpu: CREATE_COMPLETE",
        "control plane vision: ACTIVE, Kubernetes 1.34, in standard support until 2026-12-02",
        "add-on vpc-cni: ACTIVE v1",
        "add-on kube-proxy: ACTIVE v1",
        "add-on eks-pod-identity-agent: ACTIVE v1",
        "add-on coredns: ACTIVE v1",
        "add-on aws-ebs-csi-driver: ACTIVE v1",
        "add-on metrics-server: ACTIVE v1",
        "node group cpu/on-demand: 1 of 1 nodes ready",
        "gyrus-operator: 1 of 1 ready",
        "gyrus-gateway: 2 of 2 ready",
        "queue gyrus-vision: 0 messages wait",
        "bucket gyrus-vision-123456789012-us-east-1: exists",
        "log group /gyrus/vision: exists",
    ]


def test_nothing_was_created() -> None:
    nothing = {"stacks": FoundStacks(None, {}), "eks": None, "kubernetes": UnreadPart("There is no cluster.")}
    assert wrong(**nothing) == [
        "stack gyrus-vision: does not exist. Create it with: gyrus cluster up",
        "stack gyrus-vision--cpu: does not exist. Run: gyrus cluster up, which continues",
        "control plane vision: does not exist. Create it with: gyrus cluster up",
    ]


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("CREATE_FAILED", "no", "CREATE_FAILED: no. Run: gyrus cluster up, which continues"),
        ("ROLLBACK_COMPLETE", "", "ROLLBACK_COMPLETE. Run: gyrus cluster up, which continues"),
        ("UPDATE_IN_PROGRESS", "", "UPDATE_IN_PROGRESS. Wait until CloudFormation is done"),
        (
            "UPDATE_ROLLBACK_COMPLETE",
            "",
            "UPDATE_ROLLBACK_COMPLETE: it is as it was before the last change. Bring the cluster to its "
            "file: gyrus cluster configure",
        ),
    ],
)
def test_a_stack_that_is_not_done(status: str, reason: str, expected: str) -> None:
    found = FoundStacks(stack("gyrus-vision", status, reason), {"cpu": stack("gyrus-vision--cpu")})
    assert wrong(stacks=found) == [f"stack gyrus-vision: {expected}"]


def test_a_stack_that_cluster_yaml_lacks() -> None:
    found = FoundStacks(
        stack("gyrus-vision"), {name: stack(f"gyrus-vision--{name}") for name in ("cpu", "gpu")}
    )
    check = state_of("stack gyrus-vision--gpu", stacks=found)
    assert check.healthy
    assert str(check) == (
        "stack gyrus-vision--gpu: CREATE_COMPLETE, and not in cluster.yaml. Bring the cluster to its file: "
        "gyrus cluster configure"
    )


def test_a_control_plane_that_is_not_active() -> None:
    assert HEALTHY.eks is not None
    assert not isinstance(HEALTHY.eks, UnreadPart)
    creating, failed = (replace(HEALTHY.eks, status=status) for status in ("CREATING", "FAILED"))
    assert wrong(eks=creating) == ["control plane vision: CREATING. Wait for it"]
    assert wrong(eks=failed) == ["control plane vision: FAILED. Run: gyrus cluster up, which continues"]


def test_add_ons() -> None:
    known = dict(HEALTHY.add_ons) if not isinstance(HEALTHY.add_ons, UnreadPart) else {}
    del known["coredns"]
    known["vpc-cni"] = AddOnState(status="DEGRADED", issues=("no addresses are left",))
    assert wrong(add_ons=known) == [
        "add-on vpc-cni: DEGRADED: no addresses are left. See: kubectl get pods --namespace kube-system. "
        "Then run gyrus cluster up, which continues",
        "add-on coredns: does not exist. Run: gyrus cluster up, which continues",
    ]


def test_nodes_that_are_missing_or_not_ready() -> None:
    scaling = ScalingFacts(groups=(scaling_group("i-1", desired=2),))
    assert wrong(scaling=scaling) == [
        "node group cpu/on-demand: 1 of 2 nodes ready. Wait for it, or see why: gyrus cluster info lists the "
        "instances, and the EC2 console has their output"
    ]
    unready = KubernetesFacts(nodes={"i-1": node("i-1", ready=False)}, installation=installation())
    assert wrong(kubernetes=unready) == [
        "node group cpu/on-demand: 0 of 1 nodes ready. Wait for it, or see why: kubectl describe node i-1"
    ]


def test_a_launch_that_failed() -> None:
    failure = LaunchFailure(id="a", at=0, message="You have requested more vCPU capacity than your limit")
    scaling = ScalingFacts(
        groups=(scaling_group("i-1", desired=2),), failures={"gyrus-vision--cpu.on-demand": failure}
    )
    assert wrong(scaling=scaling) == [
        "node group cpu/on-demand: 1 of 2 nodes ready; the last launch failed: You have requested more vCPU "
        "capacity than your limit. gyrus tries other pools. For a quota, ask AWS for a higher one; for a "
        "lack of capacity, add instance types or zones to cluster.yaml"
    ]


def test_outdated_nodes_are_no_fault() -> None:
    check = state_of(
        "node group cpu/on-demand", scaling=ScalingFacts(groups=(scaling_group("i-1", version="2"),))
    )
    assert check.healthy
    assert str(check) == (
        "node group cpu/on-demand: 1 of 1 nodes ready, 1 outdated. Bring the cluster to its file: gyrus "
        "cluster configure"
    )


def test_a_group_without_auto_scaling_groups() -> None:
    assert wrong(scaling=ScalingFacts()) == [
        "node group cpu: has no Auto Scaling group. Run: gyrus cluster up, which continues"
    ]


def test_without_kubernetes_the_instances_count() -> None:
    assert wrong(kubernetes=UnreadPart("The cluster does not answer.")) == [
        "Kubernetes: cannot be read: The cluster does not answer"
    ]
    check = state_of("node group cpu/on-demand", kubernetes=UnreadPart("no"))
    assert check.state == "1 of 1 nodes run"


def test_gyrus_on_the_cluster() -> None:
    missing = UnreadPart("gyrus is not installed in the namespace gyrus of this cluster.", "Install it.")
    nodes = {"i-1": node("i-1")}
    assert wrong(kubernetes=KubernetesFacts(nodes=nodes, installation=missing)) == [
        "gyrus: gyrus is not installed in the namespace gyrus of this cluster. Install it"
    ]
    ended = PartProblem(message="gyrus-operator-x ended with exit code 1")
    part = PartHealth(name="gyrus-operator", ready=0, requested=1, up_to_date=True, problem=ended)
    address = ServiceAddress("", 0, True, "the load balancer has no address yet")
    found = installation(parts=[part], gateway=address)
    assert wrong(kubernetes=KubernetesFacts(nodes=nodes, installation=found)) == [
        "gyrus-operator: 0 of 1 ready: gyrus-operator-x ended with exit code 1. See: kubectl get pods "
        "--namespace gyrus",
        "gyrus: the load balancer has no address yet. Wait for it. On a cluster without load balancers, set "
        "gateway.service: NodePort in a values file",
    ]


def test_load_balancers() -> None:
    found = tuple(
        BalancerState(name=state, address="a.example.com", state=state)
        for state in ("active", "provisioning", "failed")
    )
    assert wrong(balancers=found) == [
        "load balancer provisioning: provisioning. Wait for it",
        "load balancer failed: failed. See its Service: kubectl get services",
    ]
    assert state_of("load balancer active", balancers=found).state == "active a.example.com"


def test_the_queue() -> None:
    url = "https://sqs/gyrus-vision"
    assert wrong(queue=None) == ["queue gyrus-vision: does not exist. Run: gyrus cluster up, which continues"]
    assert wrong(queue=QueueState(url=url, messages=12, oldest_seconds=900)) == [
        "queue gyrus-vision: 12 messages wait, the oldest for 900 s. The operator does not receive them. See "
        "its log: kubectl logs --namespace gyrus deployment/gyrus-operator"
    ]
    assert wrong(queue=QueueState(url=url, messages=2, oldest_seconds=20)) == []
    assert wrong(queue=QueueState(url=url, messages=0, oldest_seconds=900)) == []


def test_data_that_is_missing() -> None:
    assert wrong(bucket=False, log_group=False) == [
        "bucket gyrus-vision-123456789012-us-east-1: does not exist. Run: gyrus cluster up, which continues",
        "log group /gyrus/vision: does not exist. Run: gyrus cluster up, which continues",
    ]


def test_what_cannot_be_read() -> None:
    denied = UnreadPart("The credentials lack the right sqs:GetQueueUrl: no.", "Add it.")
    assert wrong(queue=denied) == [
        "queue: cannot be read: The credentials lack the right sqs:GetQueueUrl: no. Add it"
    ]


def test_parts_that_a_cluster_does_not_have() -> None:
    spec = cluster(more="scaler: none\ncloudwatch: false")
    parts = [one.part for one in part_checks(spec, facts(queue=None, log_group=False), NOW)]
    assert "queue gyrus-vision" not in parts
    assert "log group /gyrus/vision" not in parts
