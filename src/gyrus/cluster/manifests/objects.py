"""The parts that manifests have in common: metadata, labels, pods' security, Services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gyrus import __version__
from gyrus.cluster.settings import ClusterSettings
from gyrus.contract import cluster as names
from gyrus.contract.pods import POD_USER
from gyrus.kubernetes.placement import spread_over_nodes, spread_over_zones, tolerations_of_lost_nodes
from gyrus.kubernetes.resources import Manifest

MANAGED_BY = "app.kubernetes.io/managed-by"
POD_TEMPLATE = "pod-template-hash"
"""Label with the version of a Deployment's pod template."""
SPREADS_BY_TEMPLATE = (1, 27)
"""The version of Kubernetes from which a spread can be limited to pods with the same value of a label."""
HELM = "Helm"
"""The manager of an installation by the Helm chart, which Helm sets itself."""
INSTANCE = "app.kubernetes.io/instance"
"""Label with the namespace of the installation."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The input of all manifests."""

    namespace: str = names.NAMESPACE
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    budget_version: str = "policy/v1"
    """The API version of PodDisruptionBudgets, ``policy/v1beta1`` before Kubernetes 1.21."""
    spreads_by_template: bool = True
    """True if the cluster can spread the pods of one template alone (:data:`SPREADS_BY_TEMPLATE`)."""
    gateway_url: str = ""
    """Base URL of the endpoints, as clients see it. Empty if it is not known yet."""

    https_port: str = ""
    """Port of the endpoints with TLS, as clients see it. Empty for that of the settings."""

    def cluster_wide(self, name: str) -> str:
        """Return the name of an object outside namespaces, of which each installation has its own."""
        return f"{self.namespace}-{name}"


def metadata(
    installation: Installation,
    name: str,
    *,
    role: str = "",
    namespaced: bool = True,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Return an object's metadata, with the labels of all objects of an installation."""
    own = {
        "app.kubernetes.io/name": "gyrus",
        INSTANCE: installation.namespace,
        "app.kubernetes.io/version": __version__.replace("+", "_"),
        MANAGED_BY: names.MANAGER,
    }
    if role:
        own[names.ROLE_LABEL] = role
    place = {"namespace": installation.namespace} if namespaced else {}
    return {"name": name, **place, "labels": {**own, **(labels or {})}}


def selector(installation: Installation) -> str:
    """Return the label selector of all objects of an installation."""
    return f"app.kubernetes.io/name=gyrus,{INSTANCE}={installation.namespace},{MANAGED_BY}={names.MANAGER}"


def is_own(found: Manifest, installation: Installation) -> bool:
    """Return whether an object of the cluster belongs to this installation."""
    labels: dict[str, str] = found["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY) == names.MANAGER and labels.get(INSTANCE) == installation.namespace


def role_selector(role: str) -> dict[str, str]:
    """Return the labels by which the pods of a role are selected."""
    return {names.ROLE_LABEL: role}


def scheduling(installation: Installation, role: str) -> Manifest:
    """Return the fields of a role's pods by which they are spread, and replaced soon if a node is lost.

    During an update, new pods are spread among themselves: those that they replace do not count.
    """
    labels = role_selector(role)
    alone = (POD_TEMPLATE,) if installation.spreads_by_template else ()
    return {
        "topologySpreadConstraints": spread_over_nodes(labels, alike_in=alone),
        "affinity": spread_over_zones(labels),
        "tolerations": tolerations_of_lost_nodes(),
    }


def pod_security() -> Manifest:
    """Return a pod's security context: what the Pod Security Standard ``restricted`` demands."""
    return {
        "runAsNonRoot": True,
        "runAsUser": POD_USER,
        "runAsGroup": POD_USER,
        "fsGroup": POD_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Return a container's security context: no rights, and a root file system that it cannot write."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def identity_variables() -> list[Manifest]:
    """Return the environment variables with the pod's own name, namespace and address."""
    paths = {
        names.POD_NAME_VARIABLE: "metadata.name",
        names.POD_NAMESPACE_VARIABLE: "metadata.namespace",
        names.POD_ADDRESS_VARIABLE: "status.podIP",
    }
    return [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in paths.items()
    ]


def pull_secrets(installation: Installation) -> Manifest:
    """Return the field with the credentials of the registry; empty without any."""
    secrets = installation.settings.images.pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def secret_volume(name: str, secret: str, keys: Sequence[str] = ()) -> Manifest:
    """Return a volume of a Secret's keys (all, without ``keys``) that the pod's group may read."""
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440, **items}}


def port(
    name: str, number: int, *, target: int | str | None = None, node_port: int | None = None
) -> Manifest:
    """Return a Service's port. Server-side apply of Kubernetes 1.20 requires the protocol.

    ``target``: the pods' port, or its name, if it is not the same number.
    """
    fixed = {"nodePort": node_port} if node_port else {}
    return {"name": name, "port": number, "targetPort": target or number, "protocol": "TCP", **fixed}
