"""Classes of nodes, what replicas hold, and the replicas that can be preempted for others."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from gyrus.backends.kubernetes.capacity import (
    NODES_COME_WITHIN,
    RESCHEDULED_WITHIN,
    HeldPlace,
    WaitingPod,
    accepts,
    capacity_view,
    preemptable,
)
from gyrus.contract.operator import AmountView
from gyrus.kubernetes.amounts import Amounts
from gyrus.kubernetes.resources import Manifest

NOW = 1000.0
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "yes", "effect": "NoSchedule"}
GROUP = "eks.amazonaws.com/nodegroup"


def node(cpu: str = "4", memory: str = "8Gi", gpus: int = 0, **more: Any) -> Manifest:
    offered: dict[str, Any] = {"cpu": cpu, "memory": memory}
    if gpus:
        offered["nvidia.com/gpu"] = str(gpus)
    return {
        "metadata": {"labels": more.get("labels", {})},
        "spec": {"taints": more.get("taints", [])},
        "status": {"allocatable": offered},
    }


def amount(cpu: float, gpus: int = 0) -> Amounts:
    return {"cpu": Decimal(str(cpu)), **({"nvidia.com/gpu": Decimal(gpus)} if gpus else {})}


def test_nodes_that_are_alike_are_one_class() -> None:
    gpu = {
        GROUP: "gpu",
        "node.kubernetes.io/instance-type": "g5.xlarge",
        "eks.amazonaws.com/capacityType": "SPOT",
    }
    nodes = {
        "a": node(labels={GROUP: "cpu"}),
        "b": node(labels={GROUP: "cpu"}),
        "c": node("3920m", gpus=1, labels=gpu, taints=[GPU_TAINT]),
    }
    held = [HeldPlace(node="a", amounts=amount(1)), HeldPlace(node="c", amounts=amount(0.5, 1))]
    view = capacity_view(nodes, (), held, [amount(2, 1)])
    cpu, accelerated = view.nodes
    assert (cpu.group, cpu.nodes, cpu.closed, cpu.replicas) == ("cpu", 2, 0, 1)
    assert cpu.total == AmountView(cpu=8.0, mem=16 * 2**30, gpu=0)
    assert (accelerated.instance_type, accelerated.capacity_type) == ("g5.xlarge", "spot")
    assert accelerated.taints == ("nvidia.com/gpu=yes:NoSchedule",)
    assert accelerated.held == AmountView(cpu=0.5, mem=0, gpu=1)
    assert view.total == AmountView(cpu=11.92, mem=24 * 2**30, gpu=1)
    assert view.held == AmountView(cpu=1.5, mem=0, gpu=1)
    assert (view.waiting, view.replicas, view.replicas_waiting) == (AmountView(cpu=2.0, mem=0, gpu=1), 2, 1)


def test_a_closed_node_offers_nothing_and_its_replicas_count() -> None:
    cordoned = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    nodes = {"a": node(), "b": node(taints=cordoned)}
    view = capacity_view(nodes, {"b": "node b is cordoned"}, [HeldPlace(node="b", amounts=amount(3))], ())
    (only,) = view.nodes
    assert (only.nodes, only.closed, only.replicas) == (2, 1, 1)
    assert (view.total.cpu, view.held.cpu) == (4.0, 3.0)


@pytest.mark.parametrize("role", ["control-plane", "master"])
def test_nodes_of_the_control_plane_do_not_count(role: str) -> None:
    taint = {"key": f"node-role.kubernetes.io/{role}", "effect": "NoSchedule"}
    view = capacity_view({"a": node(), "b": node(taints=[taint])}, (), (), ())
    assert sum(each.nodes for each in view.nodes) == 1
    used = capacity_view({"b": node(taints=[taint])}, (), [HeldPlace(node="b", amounts=amount(1))], ())
    assert sum(each.nodes for each in used.nodes) == 1


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ({"karpenter.sh/capacity-type": "on-demand"}, "on-demand"),
        ({"eks.amazonaws.com/capacityType": "ON_DEMAND"}, "on-demand"),
        ({"cloud.google.com/gke-spot": "true"}, "spot"),
        ({"kubernetes.azure.com/scalesetpriority": "spot"}, "spot"),
        ({}, ""),
    ],
)
def test_the_capacity_type_in_the_words_of_a_cloud(labels: dict[str, str], kind: str) -> None:
    assert capacity_view({"a": node(labels=labels)}, (), (), ()).nodes[0].capacity_type == kind


def affinity(**labels: list[str]) -> Mapping[str, Any]:
    terms = [
        {"matchExpressions": [{"key": key, "operator": "In", "values": values}]}
        for key, values in labels.items()
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("spec", "accepted"),
    [
        ({}, False),
        ({"tolerations": [{"operator": "Exists"}]}, True),
        ({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}, True),
        ({"tolerations": [{"key": "nvidia.com/gpu", "value": "yes", "effect": "NoSchedule"}]}, True),
        ({"tolerations": [{"key": "nvidia.com/gpu", "value": "no"}]}, False),
        ({"tolerations": [{"key": "nvidia.com/gpu", "value": "yes", "effect": "NoExecute"}]}, False),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"zone": "a"}}, True),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"zone": "b"}}, False),
        ({"tolerations": [{"operator": "Exists"}], **affinity(zone=["b"], pool=["gpu"])}, True),
        ({"tolerations": [{"operator": "Exists"}], **affinity(zone=["b"], pool=["cpu"])}, False),
    ],
)
def test_the_nodes_on_which_a_pod_may_run(spec: Manifest, accepted: bool) -> None:
    assert accepts(node(taints=[GPU_TAINT], labels={"zone": "a", "pool": "gpu"}), {"spec": spec}) is accepted


def test_a_taint_that_only_discourages_keeps_no_pod_away() -> None:
    assert accepts(node(taints=[{"key": "a", "effect": "PreferNoSchedule"}]), {})


def waiting(cpu: float, seconds: float = NODES_COME_WITHIN, **spec: Any) -> WaitingPod:
    return WaitingPod(pod={"spec": spec}, needs=amount(cpu), since=NOW - seconds)


def chosen(
    *pods: WaitingPod, others: tuple[WaitingPod, ...] = (), nodes: str = "ab", freed_at: float = 0.0
) -> list[str]:
    held = {
        "small": HeldPlace(node="a", amounts=amount(0.5)),
        "large": HeldPlace(node="b", amounts=amount(2)),
    }
    there = {name: node() for name in nodes}
    return preemptable(held=held, waiting=pods, others=others, nodes=there, now=NOW, freed_at=freed_at)


def test_a_replica_is_preempted_for_one_that_requests_no_more() -> None:
    assert chosen(waiting(0.5)) == ["small", "large"]
    assert chosen(waiting(1)) == ["large"]
    assert chosen(waiting(1), waiting(0.1)) == ["small", "large"]


def test_no_replica_is_preempted_for_one_that_may_fit_nowhere() -> None:
    assert chosen(waiting(64)) == []
    assert chosen(waiting(0.1, nodeSelector={"accelerator": "h100"})) == []


def test_nodes_may_come_before_a_replica_is_preempted() -> None:
    assert chosen(waiting(0.5, NODES_COME_WITHIN - 1)) == []


def test_a_replica_of_a_node_that_takes_no_pods_is_not_preempted() -> None:
    assert chosen(waiting(0.5), nodes="b") == ["large"]


def test_the_scheduler_gets_time_after_each_end() -> None:
    assert chosen(waiting(0.5), freed_at=NOW - RESCHEDULED_WITHIN + 1) == []
    assert chosen(waiting(0.5), freed_at=NOW - RESCHEDULED_WITHIN) == ["small", "large"]


def test_no_replica_is_preempted_if_another_api_could_get_its_place() -> None:
    assert chosen(waiting(0.5), others=(waiting(1, 0),)) == ["small"]
    assert chosen(waiting(0.5), others=(waiting(0.2, 0),)) == []
