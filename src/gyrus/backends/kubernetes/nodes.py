"""The nodes that pods must leave: cordoned for a drain, about to be removed, or lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gyrus.kubernetes.resources import KubernetesObject, Manifest

CORDONED = "node.kubernetes.io/unschedulable"
LOST = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
"""Taints of nodes that do not report."""
LEAVING: Mapping[str, str] = {
    "ToBeDeletedByClusterAutoscaler": "the cluster autoscaler removes it",
    "karpenter.sh/disrupted": "Karpenter removes it",
    "karpenter.sh/disruption": "Karpenter removes it",
    "aws-node-termination-handler/spot-itn": "its spot instance is interrupted",
    "aws-node-termination-handler/rebalance-recommendation": "its spot instance may be interrupted soon",
    "aws-node-termination-handler/asg-lifecycle-termination": "its instance is terminated",
    "aws-node-termination-handler/scheduled-maintenance": "its instance is maintained",
    "cloud.google.com/impending-node-termination": "its spot instance is interrupted",
    "node.cloudprovider.kubernetes.io/shutdown": "its instance is shut down",
    "node.kubernetes.io/out-of-service": "it is out of service",
}
"""The reasons why a node with such a taint will be gone soon, by the taint's key."""


def evacuations(nodes: Mapping[str, Manifest]) -> dict[str, str]:
    """Return the reasons why pods must leave their node, by node. Nodes that pods may stay on are left out.

    If no node is ready, those that do not report are not counted as lost: more likely, the control plane does
    not reach them, and no other node could take their pods.
    """
    some_ready = any(KubernetesObject(node).ready for node in nodes.values())
    reasons = {name: _reason(name, node, lost_counts=some_ready) for name, node in nodes.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def _reason(name: str, node: Manifest, *, lost_counts: bool) -> str:
    spec: Mapping[str, Any] = node.get("spec") or {}
    keys: list[str] = [taint["key"] for taint in spec.get("taints") or ()]
    for key in keys:
        if key in LEAVING:
            return f"node {name} will be gone soon: {LEAVING[key]}"
    if lost_counts and any(key in LOST for key in keys):
        return f"node {name} does not answer"
    if spec.get("unschedulable") or CORDONED in keys:
        return f"node {name} is cordoned"
    return ""
