"""The PodMonitors, by which the Prometheus Operator finds the metrics of all pods."""

from __future__ import annotations

from gyrus.cluster.manifests import gateway, operator
from gyrus.cluster.manifests.objects import Installation, metadata, role_selector
from gyrus.contract import cluster as names
from gyrus.contract.replica import METRICS_PATH
from gyrus.kubernetes.resources import POD_MONITORS, Manifest

REPLICA_PORT = "metrics"
"""Name of the port with a replica's metrics."""


def pod_monitors(installation: Installation) -> list[Manifest]:
    """Return a PodMonitor for each role with metrics; none unless the settings ask for them."""
    if not installation.settings.pod_monitor:
        return []
    return [
        _pod_monitor(installation, names.OPERATOR, names.OPERATOR_ROLE, operator.MONITORING, METRICS_PATH),
        _pod_monitor(installation, names.GATEWAY, names.GATEWAY_ROLE, gateway.ADMIN, names.ADMIN_METRICS),
        _pod_monitor(installation, names.REPLICA, names.REPLICA_ROLE, REPLICA_PORT, METRICS_PATH),
    ]


def _pod_monitor(installation: Installation, name: str, role: str, port: str, path: str) -> Manifest:
    return {
        "apiVersion": POD_MONITORS.api_version,
        "kind": POD_MONITORS.kind,
        "metadata": metadata(installation, name),
        "spec": {
            "selector": {"matchLabels": role_selector(role)},
            # Metrics of gyrus have labels of their own, which Prometheus must not rename.
            "podMetricsEndpoints": [{"port": port, "path": path, "honorLabels": True}],
        },
    }
