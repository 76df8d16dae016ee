"""The place of a cluster's log and metrics in CloudWatch. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.cluster.aws import resource_names as names


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchTarget:
    """The log group and the namespace of metrics of one cluster."""

    region: str
    cluster: str
    """Its name in cluster.yaml."""
    log_group: str

    @property
    def namespace(self) -> str:
        """The namespace of its metrics."""
        return names.metrics_namespace(self.cluster)

    @classmethod
    def of(cls, cluster: str, region: str, log_group: str = "") -> CloudWatchTarget:
        """Return the target of a cluster. ``log_group``: by default the one of its base stack."""
        return cls(region=region, cluster=cluster, log_group=log_group or names.log_group(cluster))


def api_streams(api: str) -> str:
    """Return what the names of an API's log streams begin with. No other stream's name does."""
    return f"apis/{api}/"


def replica_stream(api: str, replica: str) -> str:
    return api_streams(api) + replica


def gateway_stream(pod: str) -> str:
    return f"gateways/{pod}"


def operator_stream(pod: str) -> str:
    return f"operator/{pod}"
