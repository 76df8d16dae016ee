"""The jobs of the Helm chart: they do what templates cannot do, with the code of ``gyrus cluster``.

``prepare`` runs before an installation and before an upgrade: it applies the custom resource's definition,
creates the Secrets, and renews certificates.
``remove`` runs after the removal of the chart's objects: it deletes what operator and ``prepare`` created.
"""

from __future__ import annotations

from gyrus.cluster.manifests.access import GROUP, AccessRule
from gyrus.cluster.manifests.objects import (
    Installation,
    container_security,
    identity_variables,
    metadata,
    pod_security,
    pull_secrets,
)
from gyrus.cluster.secrets import SECRETS
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import Manifest

NAME = "gyrus-chart"
"""Name of the jobs' service account and role."""
PREPARE, REMOVE = "prepare", "remove"
HOOKS = {PREPARE: "pre-install,pre-upgrade", REMOVE: "post-delete"}
"""The moments at which Helm runs each job."""
MODULE = "gyrus.cluster.chart_job"
DEFINITION = f"{names.PLURAL}.{names.GROUP}"
PATIENCE = 600
"""Seconds that a job may take."""

NAMESPACE_RULES = (
    AccessRule(resources=("secrets",), verbs=("create",), reason="The job creates the Secrets."),
    AccessRule(
        resources=("secrets",),
        verbs=("get", "patch", "delete"),
        objects=SECRETS,
        reason="The job keeps tokens and valid certificates, replaces certificates before they end, and "
        "deletes the Secrets at the end.",
    ),
    AccessRule(
        resources=("pods",),
        verbs=("list", "watch", "delete"),
        reason="The job deletes replicas and builders once there is no operator, and waits for their end.",
    ),
    AccessRule(
        group=names.GROUP,
        resources=(names.PLURAL,),
        verbs=("list", "delete"),
        reason="The job deletes the objects of the APIs.",
    ),
    AccessRule(
        resources=("persistentvolumeclaims",),
        verbs=("delete",),
        objects=(names.DATA,),
        reason="The job deletes the operator's volume, which an upgrade never deletes.",
    ),
    AccessRule(
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("delete",),
        objects=(names.OPERATOR,),
        reason="The job deletes the operators' Lease.",
    ),
)
"""The jobs' rights in the namespace of the installation."""

CLUSTER_RULES = (
    AccessRule(
        group="apiextensions.k8s.io",
        resources=("customresourcedefinitions",),
        verbs=("create",),
        reason="The job creates the definition of the APIs' objects.",
    ),
    AccessRule(
        group="apiextensions.k8s.io",
        resources=("customresourcedefinitions",),
        verbs=("get", "patch", "delete"),
        objects=(DEFINITION,),
        reason="Helm never changes a definition: the job upgrades it, and deletes it after the last "
        "installation.",
    ),
    AccessRule(
        group=GROUP,
        resources=("clusterroles",),
        verbs=("list",),
        reason="The roles of other installations show that they use the definition, too.",
    ),
    AccessRule(
        group=names.GROUP,
        resources=(names.PLURAL,),
        verbs=("list",),
        reason="The definition stays while there are APIs elsewhere.",
    ),
)
"""The jobs' rights outside the namespace."""


def jobs(installation: Installation) -> list[Manifest]:
    """Return the jobs, and the service account with the rights that they need while they run."""
    wide = installation.cluster_wide("chart")
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": installation.namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(installation, NAME),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Role",
            "metadata": _metadata(installation, NAME),
            "rules": [rule.manifest() for rule in NAMESPACE_RULES],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": _metadata(installation, wide, namespaced=False),
            "rules": [rule.manifest() for rule in CLUSTER_RULES],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": _metadata(installation, NAME),
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": NAME},
            "subjects": [subject],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": _metadata(installation, wide, namespaced=False),
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": wide},
            "subjects": [subject],
        },
        *(_job(installation, act) for act in HOOKS),
    ]


def _job(installation: Installation, act: str) -> Manifest:
    name = f"{NAME}-{act}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(installation, name, hooks=HOOKS[act], weight=0),
        "spec": {
            "backoffLimit": 3,
            "activeDeadlineSeconds": PATIENCE,
            "template": {
                "metadata": {"labels": metadata(installation, name)["labels"]},
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": True,
                    "restartPolicy": "Never",
                    "securityContext": pod_security(),
                    **pull_secrets(installation),
                    "containers": [_container(installation, act)],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


def _container(installation: Installation, act: str) -> Manifest:
    images = installation.settings.images
    return {
        "name": act,
        "image": images.gyrus,
        "imagePullPolicy": images.pull_policy,
        "command": ["python", "-m", MODULE, act],
        "env": identity_variables(),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _metadata(
    installation: Installation,
    name: str,
    *,
    namespaced: bool = True,
    hooks: str = ",".join(HOOKS.values()),
    weight: int = -10,
) -> Manifest:
    """Return the metadata of an object that exists only while Helm runs the jobs."""
    annotations = {
        "helm.sh/hook": hooks,
        "helm.sh/hook-weight": str(weight),  # the rights come before the jobs
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }
    return {**metadata(installation, name, namespaced=namespaced), "annotations": annotations}
