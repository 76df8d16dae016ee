"""The gateways: their Deployment, their Service and their disruption budget."""

from __future__ import annotations

from gyrus.cluster.manifests.foundation import PLATFORM
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
from gyrus.kubernetes.resources import Manifest

ROLE = names.GATEWAY_ROLE
GRACE = 90
"""Seconds to stop: requests in flight are finished."""
ADMIN = "admin"
"""Name of the port with readiness and statistics."""


def service(installation: Installation) -> Manifest:
    """Return the Service through which clients reach the APIs."""
    settings = installation.settings.gateway
    annotations = {"annotations": settings.annotations} if settings.annotations else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**metadata(installation, names.GATEWAY, role=ROLE), **annotations},
        "spec": {
            "type": settings.service,
            "selector": role_selector(ROLE),
            "ports": [port("http", settings.port, target=names.GATEWAY_PORT, node_port=settings.node_port)],
        },
    }


def disruption_budget(installation: Installation) -> Manifest:
    """Return the budget by which a drain of nodes stops one gateway at a time."""
    return {
        "apiVersion": installation.budget_version,
        "kind": "PodDisruptionBudget",
        "metadata": metadata(installation, names.GATEWAY, role=ROLE),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": role_selector(ROLE)}},
    }


def deployment(installation: Installation) -> Manifest:
    """Return the gateways' Deployment. A new gateway serves before an old one stops."""
    settings = installation.settings.gateway
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(installation, names.GATEWAY, role=ROLE),
        "spec": {
            "replicas": settings.replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": role_selector(ROLE)},
            "template": {
                "metadata": {
                    "labels": metadata(installation, names.GATEWAY, role=ROLE)["labels"],
                    "annotations": _annotations(installation),
                },
                "spec": _pod(installation),
            },
        },
    }


def _annotations(installation: Installation) -> dict[str, str]:
    """Return what Prometheus reads, and the certificate's digest."""
    digest = installation.certificates.get(names.GATEWAY_TLS)
    return {
        **names.scrape_annotations(names.ADMIN_PORT, names.ADMIN_METRICS),
        **({f"{names.GROUP}/certificate": digest} if digest else {}),
    }


def _pod(installation: Installation) -> Manifest:
    return {
        "serviceAccountName": names.GATEWAY,
        "automountServiceAccountToken": False,
        "priorityClassName": installation.cluster_wide(PLATFORM),
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": GRACE,
        **scheduling(installation, ROLE),
        **pull_secrets(installation),
        "containers": [_container(installation)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "run", "emptyDir": {}},
            secret_volume("tls", names.GATEWAY_TLS),
        ],
    }


def _container(installation: Installation) -> Manifest:
    images, resources = installation.settings.images, installation.settings.gateway.resources
    return {
        "name": ROLE,
        "image": images.gyrus,
        "imagePullPolicy": images.pull_policy,
        "command": ["python", "-m", "gyrus.routing.gateway_pod"],
        "env": identity_variables(),
        "ports": [
            {"name": "http", "containerPort": names.GATEWAY_PORT, "protocol": "TCP"},
            {"name": ADMIN, "containerPort": names.ADMIN_PORT, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "lifecycle": {"preStop": {"exec": {"command": ["python", "-m", "gyrus.routing.gateway_drain"]}}},
        "startupProbe": _probe(period=1, failures=120),  # until the operator has sent the first routes
        "readinessProbe": _probe(period=2, failures=2),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "run", "mountPath": names.GATEWAY_FOLDER},
            {"name": "tls", "mountPath": names.TLS_FOLDER, "readOnly": True},
        ],
    }


def _probe(*, period: int, failures: int) -> Manifest:
    """Return a probe of readiness. No probe of liveness: a restart would only drop requests."""
    return {
        "httpGet": {"path": "/ready", "port": names.ADMIN_PORT, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
