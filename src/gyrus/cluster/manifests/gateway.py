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
ENDPOINT_TLS = "endpoint-tls"
"""Name of the volume with the endpoints' certificate."""
HTTP = "http"
"""Name of the port without TLS."""
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
            "ports": _ports(installation),
        },
    }


def _ports(installation: Installation) -> list[Manifest]:
    """Return the Service's ports: that of the endpoints' URL first.

    Their targets are names: while TLS is turned on or off, pods of both kinds serve, and differ in numbers.
    """
    settings = installation.settings.gateway
    tls = settings.tls
    http = port(HTTP, settings.port, target=HTTP, node_port=settings.node_port)
    if settings.balancer_tls_port is not None:
        return [port(names.HTTPS, settings.balancer_tls_port, target=HTTP), http]
    if tls is None:
        return [http]
    return [port(names.HTTPS, tls.port, target=names.HTTPS, node_port=tls.node_port), http]


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
                    "annotations": names.scrape_annotations(names.ADMIN_PORT, names.ADMIN_METRICS),
                },
                "spec": _pod(installation),
            },
        },
    }


def _pod(installation: Installation) -> Manifest:
    tls = installation.settings.gateway.tls
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
            *([secret_volume(ENDPOINT_TLS, tls.secret)] if tls else []),
        ],
    }


def _container(installation: Installation) -> Manifest:
    images, settings = installation.settings.images, installation.settings.gateway
    resources, tls = settings.resources, settings.tls
    return {
        "name": ROLE,
        "image": images.gyrus,
        "imagePullPolicy": images.pull_policy,
        "command": ["python", "-m", "gyrus.routing.gateway_pod"],
        "env": [*identity_variables(), *(_https_port(installation) if tls else [])],
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in _container_ports(installation).items()
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
            *(
                [{"name": ENDPOINT_TLS, "mountPath": names.ENDPOINT_TLS_FOLDER, "readOnly": True}]
                if tls
                else []
            ),
        ],
    }


def _container_ports(installation: Installation) -> dict[str, int]:
    tls = installation.settings.gateway.tls
    if tls is None:
        return {HTTP: names.GATEWAY_PORT, ADMIN: names.ADMIN_PORT}
    http = names.REDIRECT_PORT if tls.http == "redirect" else names.GATEWAY_PORT
    return {HTTP: http, names.HTTPS: names.GATEWAY_TLS_PORT, ADMIN: names.ADMIN_PORT}


def _https_port(installation: Installation) -> list[Manifest]:
    # Without a redirect, no gateway has to know the port: any number shows that there is a certificate.
    number = installation.settings.gateway.https_port or names.GATEWAY_TLS_PORT
    return [{"name": names.HTTPS_PORT_VARIABLE, "value": installation.https_port or str(number)}]


def _probe(*, period: int, failures: int) -> Manifest:
    """Return a probe of readiness. No probe of liveness: a restart would only drop requests."""
    return {
        "httpGet": {"path": "/ready", "port": names.ADMIN_PORT, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
