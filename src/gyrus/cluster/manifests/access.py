"""Service accounts and their rights. Each right has its reason, which the guide shows too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.cluster.manifests.objects import Installation, metadata
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import Manifest

GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """One right of the operator, with the reason for it."""

    group: str = ""
    """The API group; empty for the core group."""
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    objects: tuple[str, ...] = ()
    """The names of the only objects that the rule allows. Empty means all."""
    reason: str

    def manifest(self) -> Manifest:
        limited = {"resourceNames": list(self.objects)} if self.objects else {}
        return {
            "apiGroups": [self.group],
            "resources": list(self.resources),
            **limited,
            "verbs": list(self.verbs),
        }


NAMESPACE_RULES = (
    AccessRule(
        resources=("pods",),
        verbs=("get", "list", "watch", "create", "patch", "delete"),
        reason="Each replica and each builder is a pod that the operator creates, follows and ends. The "
        "operator that leads marks its own pod.",
    ),
    AccessRule(
        resources=("pods/log",),
        verbs=("get",),
        reason="A failure is reported with the last lines of the pod's output.",
    ),
    AccessRule(
        resources=("events",),
        verbs=("list", "watch"),
        reason="Events have the reason why a pod does not start.",
    ),
    AccessRule(
        group=names.GROUP,
        resources=(names.PLURAL,),
        verbs=("get", "list", "watch", "create", "patch", "delete"),
        reason="The operator follows APIs that manifests deploy, and creates the objects of those that the "
        "CLI deploys.",
    ),
    AccessRule(
        group=names.GROUP,
        resources=(f"{names.PLURAL}/status",),
        verbs=("get", "patch"),
        reason="The operator reports an API's status in its object.",
    ),
    AccessRule(
        group=names.GROUP,
        resources=(f"{names.PLURAL}/finalizers",),
        verbs=("update",),
        reason="An API's object owns its pods; some clusters demand this right of the pods' creator.",
    ),
    AccessRule(
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("get", "create", "update"),
        reason="Operators elect their leader by a Lease.",
    ),
    AccessRule(
        group="policy",
        resources=("poddisruptionbudgets",),
        verbs=("get", "list", "watch", "create", "patch"),
        reason="Each API has a disruption budget, so that a drain ends no replica before it is replaced.",
    ),
    AccessRule(
        resources=("services",),
        verbs=("get",),
        objects=(names.GATEWAY,),
        reason="The gateways' Service has the address of the APIs' endpoints.",
    ),
    AccessRule(
        resources=("secrets",),
        verbs=("get", "patch"),
        objects=names.CERTIFIED,
        reason="The operator renews the certificates of operator and gateways before they end.",
    ),
)
"""The operator's rights in its own namespace."""

CLUSTER_RULES = (
    AccessRule(
        resources=("nodes",),
        verbs=("get", "list", "watch"),
        reason="The operator reports capacity by class of nodes, and replaces the replicas of a node that is "
        "lost or drained.",
    ),
)
"""The operator's rights outside its namespace."""

NODE_RULES = (
    AccessRule(
        resources=("nodes",),
        verbs=("patch",),
        reason="The operator cordons nodes that are to end. It has this right and the following ones only if "
        "it plans the nodes (`nodes` of the settings).",
    ),
    AccessRule(
        resources=("pods",),
        verbs=("list", "watch"),
        reason="The planner counts the requests of all pods, and pods without a node.",
    ),
    AccessRule(
        resources=("pods/eviction",),
        verbs=("create",),
        reason="The operator drains nodes before they end, as disruption budgets allow.",
    ),
)
"""The operator's further rights outside its namespace if it plans the nodes."""


def service_accounts(installation: Installation) -> list[Manifest]:
    """Return the service accounts. Gateways and replicas have no rights, and no token is mounted for them."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(installation, name),
            "automountServiceAccountToken": name == names.OPERATOR,
        }
        for name in (names.OPERATOR, names.GATEWAY, names.REPLICA)
    ]


def roles(installation: Installation) -> list[Manifest]:
    """Return the operator's roles and their bindings."""
    wide = installation.cluster_wide("operator")
    return [
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Role",
            "metadata": metadata(installation, names.OPERATOR),
            "rules": [rule.manifest() for rule in NAMESPACE_RULES],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": metadata(installation, wide, namespaced=False),
            "rules": [rule.manifest() for rule in cluster_rules(installation)],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata(installation, names.OPERATOR),
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": names.OPERATOR},
            "subjects": [_operator(installation)],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata(installation, wide, namespaced=False),
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": wide},
            "subjects": [_operator(installation)],
        },
    ]


def cluster_rules(installation: Installation) -> tuple[AccessRule, ...]:
    """Return the operator's rights outside its namespace."""
    nodes = installation.settings.nodes
    return (*CLUSTER_RULES, *NODE_RULES) if nodes and nodes.planned else CLUSTER_RULES


def rights_table(
    in_namespace: Sequence[AccessRule] = NAMESPACE_RULES,
    in_cluster: Sequence[AccessRule] = (*CLUSTER_RULES, *NODE_RULES),
) -> str:
    """Return rights, by default the operator's, as a table of Markdown, for the guide."""
    lines = ["Resource | Verbs | Where | Reason", "---|---|---|---"]
    for where, rules in (("its namespace", in_namespace), ("the cluster", in_cluster)):
        for rule in rules:
            objects = f" ({', '.join(f'`{name}`' for name in rule.objects)})" if rule.objects else ""
            kinds = ", ".join(f"`{_full_name(kind, rule.group)}`" for kind in rule.resources)
            lines.append(f"{kinds}{objects} | {', '.join(rule.verbs)} | {where} | {rule.reason}")
    return "\n".join(f"| {line} |" if not line.startswith("---") else f"|{line}|" for line in lines)


def _full_name(resource: str, group: str) -> str:
    """Return the name as ``kubectl auth can-i --list`` prints it: ``apis.gyrus.dev/status``."""
    kind, slash, part = resource.partition("/")
    return f"{kind}.{group}{slash}{part}" if group else resource


def _operator(installation: Installation) -> Manifest:
    return {"kind": "ServiceAccount", "name": names.OPERATOR, "namespace": installation.namespace}
