"""Instances joined with nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyrus.cluster.aws.inspection.facts import KubernetesFacts, ScalingFacts
from gyrus.cluster.aws.inspection.node_status import node_statuses
from gyrus.cluster.aws.nodes.cluster_nodes import KubernetesNode
from gyrus.cluster.aws.nodes.scaling_groups import Ec2Instance
from gyrus.nodes.resources import GIB, NodeResources
from support.aws.cluster_facts import HEALTHY, NODE, installation, node, pod, scaling_group


def kubernetes(*nodes: KubernetesNode) -> KubernetesFacts:
    known = {one.instance: one for one in nodes}
    pods = (pod("i-1", api="iris"), pod("i-1", cpu=100), pod("elsewhere"))
    return KubernetesFacts(nodes=known, pods=pods, installation=installation())


def test_the_use_of_a_node() -> None:
    assert isinstance(HEALTHY.scaling, ScalingFacts)
    (found,) = node_statuses(HEALTHY.scaling, kubernetes(node("i-1")))
    assert (found.name, found.group, found.state) == ("i-1", "cpu", "ready")
    assert (found.replicas, found.pods) == (1, 2)
    assert found.requested == NodeResources(cpu=600, memory=2 * GIB, pods=2)
    assert found.allocatable == NODE


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([], "starting"),
        ([node("i-1", ready=False)], "not ready"),
        ([node("i-1", cordoned=True)], "cordoned"),
        ([node("i-1")], "ready"),
    ],
)
def test_states(nodes: list[KubernetesNode], expected: str) -> None:
    (found,) = node_statuses(ScalingFacts(groups=(scaling_group("i-1"),)), kubernetes(*nodes))
    assert found.state == expected


def test_an_instance_that_leaves_one_that_has_ended_and_one_without_kubernetes() -> None:
    group = scaling_group("i-1", "i-2")
    group = replace(group, instances=(replace(group.instances[0], leaves=True), group.instances[1]))
    ended = {"i-2": Ec2Instance(id="i-2", launched_at=0, ends=True)}
    (found,) = node_statuses(ScalingFacts(groups=(group,), instances=ended), kubernetes(node("i-1")))
    assert found.state == "leaving"
    (found,) = node_statuses(ScalingFacts(groups=(scaling_group("i-1"),)), None)
    assert (found.state, found.allocatable) == ("unknown", None)
