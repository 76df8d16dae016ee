"""The operator: its Deployment, its volume and its Services."""

from __future__ import annotations

from gyrus.cluster.aws.resource_names import log_group
from gyrus.cluster.manifests.foundation import PLATFORM, REPLICAS
from gyrus.cluster.manifests.objects import (
    Installation,
    container_security,
    identity_variables,
    metadata,
    pod_security,
    port,
    pull_secrets,
    role_selector,
    scheduling,
    secret_volume,
)
from gyrus.contract import cluster as names
from gyrus.contract.replica import HEALTH_PATH, METRICS_PATH, READY_PATH
from gyrus.kubernetes.resources import Manifest

ROLE = names.OPERATOR_ROLE
GRACE = 60
"""Seconds to stop: the store is closed in order."""
PERSISTENT, EPHEMERAL = "state", "state-of-pod"
"""Names of the state's volume. With one name for both, an apply could not change the type of the volume."""
MONITORING = "monitoring"
"""Name of the port with metrics and health. Only its pods are asked, so its Service lacks it."""
PORTS = {
    "api": names.API_PORT,
    "xds": names.XDS_PORT,
    "activator": names.ACTIVATOR_PORT,
    "files": names.FILES_PORT,
}


def volume_claims(installation: Installation) -> list[Manifest]:
    """Return the claim of the operator's volume. Empty without storage."""
    settings = installation.settings.operator
    if not settings.has_volume:
        return []
    named = {"storageClassName": settings.storage_class} if settings.storage_class else {}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata(installation, names.DATA, role=ROLE),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": settings.storage}},
                **named,
            },
        }
    ]


def services(installation: Installation) -> list[Manifest]:
    """Return the Service of all ports inside the cluster, and that of the API outside if it is asked for."""
    inside = _service(
        installation, names.OPERATOR, "ClusterIP", [port(name, number) for name, number in PORTS.items()]
    )
    api = installation.settings.operator.api
    if api.service == "ClusterIP":
        return [inside]
    ports = [port("api", names.API_PORT, node_port=api.node_port)]
    outside = _service(installation, names.EXTERNAL_API, api.service, ports)
    if api.annotations:
        outside["metadata"]["annotations"] = api.annotations
    return [inside, outside]


def deployment(installation: Installation) -> Manifest:
    """Return the operator's Deployment: two pods if both reach the store, else one.

    Of two pods, one leads by a Lease, and the other one is on standby.
    """
    settings = installation.settings.operator
    # Two operators on one SQLite file would corrupt it. With a store, the Lease lets only one of them act.
    strategy: Manifest = (
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        if settings.store
        else {"type": "Recreate"}
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(installation, names.OPERATOR, role=ROLE),
        "spec": {
            "replicas": settings.replicas,
            "strategy": strategy,
            "selector": {"matchLabels": role_selector(ROLE)},
            "template": {
                "metadata": {
                    "labels": metadata(installation, names.OPERATOR, role=ROLE)["labels"],
                    "annotations": names.scrape_annotations(names.MONITORING_PORT, METRICS_PATH),
                },
                "spec": _pod(installation),
            },
        },
    }


def disruption_budgets(installation: Installation) -> list[Manifest]:
    """Return the budget of two operators: one of them stays. A budget for one would block every drain."""
    if installation.settings.operator.replicas == 1:
        return []
    return [
        {
            "apiVersion": installation.budget_version,
            "kind": "PodDisruptionBudget",
            "metadata": metadata(installation, names.OPERATOR, role=ROLE),
            "spec": {"minAvailable": 1, "selector": {"matchLabels": role_selector(ROLE)}},
        }
    ]


def _service(installation: Installation, name: str, kind: str, ports: list[Manifest]) -> Manifest:
    selected = {**role_selector(ROLE), names.LEADER_LABEL: names.IS_LEADER}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(installation, name, role=ROLE),
        "spec": {
            "type": kind,
            "selector": selected,
            # The leader answers although its store does not, so that clients learn the reason.
            "publishNotReadyAddresses": True,
            "ports": ports,
        },
    }


def _pod(installation: Installation) -> Manifest:
    store = installation.settings.operator.store
    return {
        "serviceAccountName": names.OPERATOR,
        "priorityClassName": installation.cluster_wide(PLATFORM),
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": GRACE,
        **scheduling(installation, ROLE),
        **pull_secrets(installation),
        "containers": [_container(installation)],
        "volumes": [
            _state(installation),
            {"name": "tmp", "emptyDir": {}},
            secret_volume("tls", names.OPERATOR_TLS),
            secret_volume("secrets", names.OPERATOR_SECRETS),
            *([secret_volume("store", store.secret)] if store else []),
        ],
    }


def _container(installation: Installation) -> Manifest:
    settings = installation.settings
    resources, store = settings.operator.resources, settings.operator.store
    store_file = ["--store-file", f"{names.STORE_FOLDER}/{store.key}"] if store else []
    return {
        "name": ROLE,
        "image": settings.images.gyrus,
        "imagePullPolicy": settings.images.pull_policy,
        "command": ["python", "-m", "gyrus.operator"],
        "args": [
            "--cluster",
            "--home",
            names.HOME_FOLDER,
            *store_file,
            *_log_archive(installation),
            *_cloudwatch(installation),
        ],
        "env": _environment(installation),
        **_variables_of_objects(installation),
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in {**PORTS, MONITORING: names.MONITORING_PORT}.items()
        ],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": _probe(HEALTH_PATH, period=2, failures=60),
        "readinessProbe": _probe(READY_PATH, period=5, failures=2),
        "livenessProbe": _probe(HEALTH_PATH, period=10, failures=6),
        "volumeMounts": [
            {"name": _state(installation)["name"], "mountPath": names.STATE_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "tls", "mountPath": names.TLS_FOLDER, "readOnly": True},
            {"name": "secrets", "mountPath": names.SECRETS_FOLDER, "readOnly": True},
            *([{"name": "store", "mountPath": names.STORE_FOLDER, "readOnly": True}] if store else []),
        ],
    }


def _log_archive(installation: Installation) -> list[str]:
    """Return the arguments for the bounds of the log archive."""
    limits = installation.settings.operator.log_archive
    values = {"per-api": limits.per_api, "total": limits.total, "age": limits.age}
    return [word for name, value in values.items() for word in (f"--log-archive-{name}", value)]


def _cloudwatch(installation: Installation) -> list[str]:
    """Return the arguments for CloudWatch. Empty if log and metrics are not sent there."""
    chosen = installation.settings.cloudwatch
    if chosen is None:
        return []
    group = chosen.log_group or log_group(chosen.cluster)
    values = {"cluster": chosen.cluster, "region": chosen.region, "log-group": group}
    return [word for name, value in values.items() for word in (f"--cloudwatch-{name}", value)]


def _environment(installation: Installation) -> list[Manifest]:
    images = installation.settings.images
    values = {
        names.GATEWAY_URL_VARIABLE: installation.gateway_url,
        names.RUNTIME_IMAGE_VARIABLE: images.runtime,
        names.PULL_POLICY_VARIABLE: images.pull_policy,
        names.PULL_SECRETS_VARIABLE: ",".join(images.pull_secrets),
        names.NODE_CACHE_VARIABLE: cache.path if (cache := installation.settings.node_cache) else "",
        names.NODES_VARIABLE: nodes.document if (nodes := installation.settings.nodes) else "",
        names.OBJECTS_VARIABLE: objects.url if (objects := installation.settings.objects) else "",
        names.PRIORITY_CLASS_VARIABLE: installation.cluster_wide(REPLICAS),
    }
    # The cluster does not store empty values, so that every later apply would count as a change.
    given = [{"name": name, "value": value} for name, value in values.items() if value]
    return [*identity_variables(), *given]


def _variables_of_objects(installation: Installation) -> Manifest:
    """Return the source of the credentials for the bucket, which may be missing."""
    objects = installation.settings.objects
    return {"envFrom": [{"secretRef": {"name": objects.secret, "optional": True}}]} if objects else {}


def _state(installation: Installation) -> Manifest:
    if not installation.settings.operator.has_volume:
        return {"name": EPHEMERAL, "emptyDir": {}}
    return {"name": PERSISTENT, "persistentVolumeClaim": {"claimName": names.DATA}}


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": names.MONITORING_PORT, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
