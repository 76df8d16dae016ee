"""The kinds of objects that gyrus uses, and their paths in the API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

Manifest: TypeAlias = dict[str, Any]
"""An object as JSON."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of objects."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """Return the name in messages and roles: ``pods``, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the path of all objects, of those of a namespace, of one, or of a part of one."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


NAMESPACES = ResourceKind("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = ResourceKind("", "v1", "nodes", "Node", namespaced=False)
PODS = ResourceKind("", "v1", "pods", "Pod")
EVENTS = ResourceKind("", "v1", "events", "Event")
SECRETS = ResourceKind("", "v1", "secrets", "Secret")
CONFIG_MAPS = ResourceKind("", "v1", "configmaps", "ConfigMap")
SERVICES = ResourceKind("", "v1", "services", "Service")
ENDPOINTS = ResourceKind("", "v1", "endpoints", "Endpoints")
SERVICE_ACCOUNTS = ResourceKind("", "v1", "serviceaccounts", "ServiceAccount")
VOLUME_CLAIMS = ResourceKind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
QUOTAS = ResourceKind("", "v1", "resourcequotas", "ResourceQuota")
PERSISTENT_VOLUMES = ResourceKind("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
DEPLOYMENTS = ResourceKind("apps", "v1", "deployments", "Deployment")
DAEMON_SETS = ResourceKind("apps", "v1", "daemonsets", "DaemonSet")
REPLICA_SETS = ResourceKind("apps", "v1", "replicasets", "ReplicaSet")
JOBS = ResourceKind("batch", "v1", "jobs", "Job")
ROLES = ResourceKind("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = ResourceKind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = ResourceKind(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False
)
CLUSTER_ROLE_BINDINGS = ResourceKind(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
NETWORK_POLICIES = ResourceKind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
LEASES = ResourceKind("coordination.k8s.io", "v1", "leases", "Lease")
PRIORITY_CLASSES = ResourceKind(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False
)
DISRUPTION_BUDGETS = ResourceKind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
DISRUPTION_BUDGETS_BETA = ResourceKind("policy", "v1beta1", "poddisruptionbudgets", "PodDisruptionBudget")
DEFINITIONS = ResourceKind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
POD_MONITORS = ResourceKind("monitoring.coreos.com", "v1", "podmonitors", "PodMonitor")
"""Objects of the Prometheus Operator, which not every cluster has."""
NODE_POOLS = ResourceKind("karpenter.sh", "v1", "nodepools", "NodePool", namespaced=False)
NODE_CLAIMS = ResourceKind("karpenter.sh", "v1", "nodeclaims", "NodeClaim", namespaced=False)
NODE_CLASSES = ResourceKind("karpenter.k8s.aws", "v1", "ec2nodeclasses", "EC2NodeClass", namespaced=False)
"""Objects of Karpenter, which not every cluster has."""
APIS = ResourceKind("gyrus.dev", "v1", "apis", "API")

_KNOWN = {
    (resource.api_version, resource.kind): resource
    for resource in (
        NAMESPACES, NODES, PODS, EVENTS, SECRETS, CONFIG_MAPS, SERVICES, SERVICE_ACCOUNTS, VOLUME_CLAIMS,
        PERSISTENT_VOLUMES,
        ENDPOINTS, QUOTAS, DEPLOYMENTS, DAEMON_SETS, REPLICA_SETS, ROLES, ROLE_BINDINGS, CLUSTER_ROLES,
        CLUSTER_ROLE_BINDINGS, NETWORK_POLICIES, LEASES, PRIORITY_CLASSES, DISRUPTION_BUDGETS,
        DISRUPTION_BUDGETS_BETA, DEFINITIONS, APIS, POD_MONITORS, JOBS,
        NODE_POOLS, NODE_CLASSES,
    )
}  # fmt: skip


def resource_of(manifest: Mapping[str, Any]) -> ResourceKind:
    """Return the resource of a manifest. Raises ValueError if gyrus does not use such objects."""
    key = (str(manifest.get("apiVersion")), str(manifest.get("kind")))
    try:
        return _KNOWN[key]
    except KeyError:
        raise ValueError(f"{key[0]} {key[1]} is no kind of objects that gyrus uses") from None


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """An object of the cluster, read from its manifest."""

    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest["metadata"]["name"]

    @property
    def uid(self) -> str:
        return self.manifest["metadata"].get("uid", "")

    @property
    def labels(self) -> Mapping[str, str]:
        return self.manifest["metadata"].get("labels") or {}

    @property
    def deleted(self) -> bool:
        """True if its deletion has been requested."""
        return bool(self.manifest["metadata"].get("deletionTimestamp"))

    @property
    def status(self) -> Mapping[str, Any]:
        return self.manifest.get("status") or {}

    @property
    def ready(self) -> bool:
        """True if it is a pod or a node that Kubernetes calls ready."""
        return self.condition("Ready").get("status") == "True"

    @property
    def finished(self) -> bool:
        """True if it is a pod that is being deleted and no container of it runs: only its record is left.

        A node may show a container that it has removed as one that waits, after a run that has ended.
        """
        states: list[Mapping[str, Any]] = self.status.get("containerStatuses") or []
        return self.deleted and bool(states) and all(map(_has_ended, states))

    def condition(self, type: str) -> Mapping[str, Any]:
        """Return a condition; empty if it is not known."""
        nothing: Mapping[str, Any] = {}
        found: list[Mapping[str, Any]] = self.status.get("conditions") or []
        return next((each for each in found if each.get("type") == type), nothing)


def _has_ended(container: Mapping[str, Any]) -> bool:
    """Return True if a container has run and runs no more."""
    nothing: Mapping[str, Any] = {}
    state, before = (container.get(key) or nothing for key in ("state", "lastState"))
    return "terminated" in state or ("running" not in state and "terminated" in before)


def name_of(manifest: Mapping[str, Any]) -> str:
    return manifest["metadata"]["name"]


def namespace_of(manifest: Mapping[str, Any]) -> str | None:
    return manifest["metadata"].get("namespace")


def version_of(manifest: Mapping[str, Any]) -> str:
    """Return the resource version of an object or of a list."""
    return manifest.get("metadata", {}).get("resourceVersion", "")
