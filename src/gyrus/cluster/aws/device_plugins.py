"""The device plugins by which Kubernetes offers GPUs and Inferentia chips of nodes to pods. Pure.

The images of nodes with accelerators have the drivers and the runtime. The plugins are daemon sets of their
makers: https://github.com/NVIDIA/k8s-device-plugin and the Neuron SDK's.
"""

from __future__ import annotations

from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.resource_names import GROUP_TAG
from gyrus.cluster.aws.templates.node_boot import TAINTS, ImageVariant, image_variant
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import Manifest

NAMESPACE = "kube-system"
SOCKETS = "/var/lib/kubelet/device-plugins"
IMAGES: dict[ImageVariant, str] = {
    "nvidia": "nvcr.io/nvidia/k8s-device-plugin:v0.17.4",
    "neuron": "public.ecr.aws/neuron/neuron-device-plugin:2.26.26.0",
}
"""The plugins, by the kind of nodes."""


def device_plugins(spec: ClusterSpec) -> list[Manifest]:
    """Return the daemon sets of the accelerators that the node groups have. None without accelerators."""
    groups: dict[ImageVariant, list[str]] = {}
    for group in spec.node_groups:
        groups.setdefault(image_variant(group), []).append(group.name)
    return [_daemon_set(kind, found) for kind, found in groups.items() if kind in IMAGES]


def _daemon_set(kind: ImageVariant, groups: list[str]) -> Manifest:
    name = f"gyrus-{kind}-device-plugin"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": names.MANAGER}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(kind, groups)},
        },
    }


def _pod(kind: ImageVariant, groups: list[str]) -> dict[str, Any]:
    only = {"key": GROUP_TAG, "operator": "In", "values": groups}
    return {
        "priorityClassName": "system-node-critical",
        "tolerations": [{"key": TAINTS[kind], "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [only]}]
                }
            }
        },
        "containers": [
            {
                "name": "plugin",
                "image": IMAGES[kind],
                "env": [{"name": "FAIL_ON_INIT_ERROR", "value": "false"}],
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "sockets", "mountPath": SOCKETS}],
            }
        ],
        "volumes": [{"name": "sockets", "hostPath": {"path": SOCKETS}}],
    }
