"""Pods, as the planner needs them."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.backends.kubernetes.placement import place
from gyrus.cluster.aws.nodes.node_pods import cluster_pods, pod_of
from gyrus.kubernetes.resources import Manifest
from gyrus.nodes.resources import GIB, NodeResources
from support.backends import order


def pod(name: str = "iris-1", *, owner: str = "API", labels: Any = None, annotations: Any = None,
        phase: str = "Pending", **spec: Any) -> Manifest:  # fmt: skip
    resources = {"requests": {"cpu": "250m", "memory": "1Gi"}}
    return {
        "metadata": {
            "name": name,
            "namespace": "gyrus",
            "creationTimestamp": "2026-11-28T12:00:00Z",
            "labels": labels or {},
            "annotations": annotations or {},
            "ownerReferences": [{"kind": owner}] if owner else [],
        },
        "spec": {"containers": [{"name": "main", "resources": resources}], **spec},
        "status": {"phase": phase},
    }


def test_a_replica_has_its_api_and_requests() -> None:
    found = pod_of(pod(labels={"gyrus.dev/role": "replica", "gyrus.dev/api": "iris"}))
    assert (found.name, found.api, found.node, found.waits, found.may_move) == (
        "gyrus/iris-1", "iris", "", True, True,
    )  # fmt: skip
    assert found.requests == NodeResources(cpu=250, memory=GIB)


@pytest.mark.parametrize("owner", ["DaemonSet", "Node"])
def test_pods_of_every_node_call_for_no_node(owner: str) -> None:
    found = pod_of(pod(owner=owner))
    assert (found.of_node, found.waits) == (True, False)
    assert pod_of(pod(owner="", annotations={"kubernetes.io/config.mirror": "x"})).of_node


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": ""},
        {"owner": "Job", "restartPolicy": "Never"},
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
        {"annotations": {"karpenter.sh/do-not-disrupt": "true"}},
        {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
    ],
)
def test_some_pods_must_not_be_moved(changes: dict[str, Any]) -> None:
    assert not pod_of(pod(**changes)).may_move


def test_ended_pods_are_left_out() -> None:
    found = cluster_pods([pod("a", phase="Succeeded"), pod("b", phase="Failed"), pod("c", phase="Running")])
    assert [one.name for one in found] == ["gyrus/c"]


def test_the_groups_are_those_that_the_backend_writes() -> None:
    for groups in (("gpu",), ("gpu", "cpu", "big")):
        spec: Manifest = {"tolerations": []}
        place(spec, order("iris-1", node_groups=[*groups]))
        assert pod_of(pod(affinity=spec["affinity"])).groups == groups
    assert pod_of(pod(nodeSelector={"gyrus.dev/node-group": "gpu"})).groups == ("gpu",)
    assert pod_of(pod()).groups == ()


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "value": "false"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_taints_are_tolerated_as_the_scheduler_does(toleration: dict[str, str], tolerated: bool) -> None:
    assert pod_of(pod(tolerations=[toleration])).tolerates("nvidia.com/gpu=true:NoSchedule") is tolerated
