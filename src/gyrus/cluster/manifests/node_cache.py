"""The DaemonSet that prepares the nodes' caches of Python environments, and keeps them small."""

from __future__ import annotations

from gyrus.cluster.manifests.objects import (
    Installation,
    container_security,
    metadata,
    pod_security,
    pull_secrets,
    role_selector,
)
from gyrus.contract import cluster as names
from gyrus.contract.pods import CACHE_LIMIT, ENVIRONMENTS_FOLDER, KEEP_CACHE
from gyrus.kubernetes.resources import Manifest

ROLE = names.CACHE_ROLE
GRACE = 10
"""Seconds to stop: a folder that is being removed."""


def daemon_sets(installation: Installation) -> list[Manifest]:
    """Return the DaemonSet; none without a cache."""
    if installation.settings.node_cache is None:
        return []
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": metadata(installation, names.NODE_CACHE, role=ROLE),
            "spec": {
                "selector": {"matchLabels": role_selector(ROLE)},
                "template": {
                    "metadata": {"labels": metadata(installation, names.NODE_CACHE, role=ROLE)["labels"]},
                    "spec": _pod(installation),
                },
            },
        }
    ]


def _pod(installation: Installation) -> Manifest:
    cache = installation.settings.node_cache
    path = cache.path if cache else ""
    return {
        "serviceAccountName": names.REPLICA,
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": GRACE,
        "tolerations": [{"operator": "Exists"}],  # wherever replicas may run
        **pull_secrets(installation),
        "initContainers": [_preparing(installation)],
        "containers": [_keeping(installation)],
        "volumes": [
            {"name": "environments", "hostPath": {"path": path, "type": "DirectoryOrCreate"}},
        ],
    }


def _preparing(installation: Installation) -> Manifest:
    """Return the container that gives the folder to the pods' user. Only root can do that."""
    security = container_security()
    owner = {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
    rights = {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}
    return _container(installation, "prepare") | {
        "securityContext": {**security, **owner, "capabilities": rights}
    }


def _keeping(installation: Installation) -> Manifest:
    cache = installation.settings.node_cache
    size = cache.size if cache else ""
    return _container(installation, "shrink") | {"env": [{"name": CACHE_LIMIT, "value": size}]}


def _container(installation: Installation, act: str) -> Manifest:
    images = installation.settings.images
    return {
        "name": act,
        "image": images.runtime,
        "imagePullPolicy": images.pull_policy,
        "command": [*KEEP_CACHE, act],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "environments", "mountPath": ENVIRONMENTS_FOLDER}],
    }
