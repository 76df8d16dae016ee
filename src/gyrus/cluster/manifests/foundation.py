"""The namespace and the priority classes."""

from __future__ import annotations

from gyrus.cluster.manifests.objects import Installation, metadata
from gyrus.kubernetes.resources import Manifest

PLATFORM = "platform"
REPLICAS = "replicas"
PRIORITIES = {
    PLATFORM: (1_000_000, "Operator and gateways of gyrus: they stay when replicas have to go."),
    REPLICAS: (0, "Replicas of gyrus without a priority of their own."),
}
"""Value and description, by the end of the class's name."""
STANDARD = "pod-security.kubernetes.io"


def namespace(installation: Installation) -> Manifest:
    """Return the installation's namespace, which enforces a Pod Security Standard."""
    level = installation.settings.pod_security
    labels = {f"{STANDARD}/enforce": level, f"{STANDARD}/warn": level}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(installation, installation.namespace, namespaced=False, labels=labels),
    }


def priority_classes(installation: Installation) -> list[Manifest]:
    """Return the priority classes of the platform's pods and of replicas."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": metadata(installation, installation.cluster_wide(name), namespaced=False),
            "value": value,
            "description": description,
        }
        for name, (value, description) in PRIORITIES.items()
    ]
