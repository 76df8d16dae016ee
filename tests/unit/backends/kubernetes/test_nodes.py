"""The nodes that pods must leave."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.backends.kubernetes.nodes import evacuations
from gyrus.kubernetes.resources import Manifest


def node(*taints: str, ready: str = "True", **spec: Any) -> Manifest:
    return {
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints], **spec},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.mark.parametrize(
    ("leaving", "reason"),
    [
        (node(unschedulable=True), "node a is cordoned"),
        (node("node.kubernetes.io/unschedulable"), "node a is cordoned"),
        (
            node("ToBeDeletedByClusterAutoscaler", unschedulable=True),
            "node a will be gone soon: the cluster autoscaler removes it",
        ),
        (
            node("aws-node-termination-handler/spot-itn"),
            "node a will be gone soon: its spot instance is interrupted",
        ),
        (node("node.kubernetes.io/unreachable", ready="Unknown"), "node a does not answer"),
    ],
)
def test_a_node_that_pods_must_leave(leaving: Manifest, reason: str) -> None:
    assert evacuations({"a": leaving, "b": node()}) == {"a": reason}


def test_other_taints_and_pressure_are_no_reason() -> None:
    kept = node("nvidia.com/gpu", "node.kubernetes.io/memory-pressure", "cloud.google.com/gke-spot")
    assert evacuations({"a": kept, "b": {}}) == {}


def test_nodes_of_which_none_is_ready_are_not_counted_as_lost() -> None:
    silent = node("node.kubernetes.io/unreachable", ready="Unknown")
    assert evacuations({"a": silent, "b": silent}) == {}
    assert evacuations({"a": silent, "b": node()}) == {"a": "node a does not answer"}
