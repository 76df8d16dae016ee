"""The place of a cluster's log and metrics in CloudWatch. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMESPACE = "gyrus"
"""The namespace of all metrics."""
LOG_GROUP = re.compile(r"[-._/#A-Za-z0-9]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchTarget:
    """The log group and the dimension of one cluster."""

    region: str
    cluster: str
    """The value of the dimension ``cluster`` of all metrics."""
    log_group: str

    @classmethod
    def of(cls, cluster: str, region: str, log_group: str = "") -> CloudWatchTarget:
        return cls(region=region, cluster=cluster, log_group=log_group or default_log_group(cluster))


def default_log_group(cluster: str) -> str:
    """Return the log group of a cluster for which none is set.

    >>> default_log_group("models")
    '/gyrus/models'
    """
    return f"/gyrus/{cluster}"


def api_streams(api: str) -> str:
    """Return what the names of an API's log streams begin with. No other stream's name does."""
    return f"apis/{api}/"


def replica_stream(api: str, replica: str) -> str:
    return api_streams(api) + replica


def gateway_stream(pod: str) -> str:
    return f"gateways/{pod}"


def operator_stream(pod: str) -> str:
    return f"operator/{pod}"
