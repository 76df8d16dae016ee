"""Nodes of Kubernetes that are instances."""

from __future__ import annotations

from typing import Any

from gyrus.cluster.aws.nodes.cluster_nodes import kubernetes_nodes
from gyrus.kubernetes.resources import Manifest
from gyrus.nodes.resources import GIB, NodeResources

CREATED, LATER = "2026-11-28T12:00:00Z", "2026-11-28T12:05:00Z"
LATER_SECONDS = 1795867500.0


def node(name: str, ready: str = "True", changed: str = LATER, **spec: Any) -> Manifest:
    return {
        "metadata": {"name": name, "creationTimestamp": CREATED},
        "spec": {"providerID": f"aws:///eu-west-1a/i-{name}", **spec},
        "status": {
            "allocatable": {"cpu": "3920m", "memory": "14Gi", "pods": "58", "nvidia.com/gpu": "1"},
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": changed}],
        },
    }


def test_a_node_has_what_it_offers() -> None:
    found = kubernetes_nodes([node("a1"), {"metadata": {"name": "of-others"}}])
    assert list(found) == ["i-a1"]
    assert found["i-a1"].allocatable == NodeResources(cpu=3920, memory=14 * GIB, gpu=1, pods=58)
    assert (found["i-a1"].ready, found["i-a1"].ready_since) == (True, LATER_SECONDS)


def test_a_node_that_was_ready_is_lost_and_a_new_one_starts() -> None:
    found = kubernetes_nodes(
        [node("a"), node("b", "Unknown"), node("c", "False"), node("d", "False", changed=CREATED)]
    )
    since = {name: one.lost_since for name, one in found.items()}
    assert since == {"i-a": None, "i-b": LATER_SECONDS, "i-c": LATER_SECONDS, "i-d": None}


def test_if_no_node_is_ready_none_counts_as_lost() -> None:
    found = kubernetes_nodes([node("a", "Unknown"), node("b", "False")])
    assert [one.lost_since for one in found.values()] == [None, None]


def test_a_cordon_of_gyrus_is_known_by_its_annotation() -> None:
    own, other = node("a", unschedulable=True), node("b", unschedulable=True)
    own["metadata"]["annotations"] = {"gyrus.dev/cordoned-because": "it has no pods"}
    found = kubernetes_nodes([own, other])
    cordons = {name: (one.cordoned, one.cordoned_by_gyrus) for name, one in found.items()}
    assert cordons == {"i-a": (True, True), "i-b": (True, False)}
