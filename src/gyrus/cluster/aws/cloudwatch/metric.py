"""The metrics of a cluster in CloudWatch: their names, units and meanings. Pure.

CloudWatch charges each metric, so that the set is bounded: see :data:`MOST_APIS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

API = "api"
"""The only dimension: the name of an API. The cluster is in the namespace."""
MOST_APIS = 50
"""APIs with metrics of their own: those with the most requests. The others are counted together."""
OTHERS = "(others)"
"""The value of the dimension for the APIs that have no metrics of their own."""
LEAST_REQUESTS = 20
"""Answers in a minute, below which the share of errors is left out."""
PERIOD = 60
"""Seconds between two values."""


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric."""

    name: str
    unit: str
    meaning: str


REQUESTS = MetricName("Requests", "Count", "requests that were answered")
SUCCESSES = MetricName("2XX", "Count", "answers with a status of 200 to 299")
CLIENT_ERRORS = MetricName("4XX", "Count", "answers with a status of 400 to 499")
SERVER_ERRORS = MetricName("5XX", "Count", "answers with a status of 500 to 599")
IN_FLIGHT = MetricName("InFlight", "Count", "requests that have arrived and are not answered")
HELD = MetricName("Held", "Count", "requests that wait because there is no replica")
REQUESTED = MetricName("ReplicasRequested", "Count", "replicas that should run")
READY = MetricName("ReplicasReady", "Count", "replicas that are ready")
P50 = MetricName("LatencyP50", "Milliseconds", "median of the time to the answer")
P95 = MetricName("LatencyP95", "Milliseconds", "95 % are answered within this time")
P99 = MetricName("LatencyP99", "Milliseconds", "99 % are answered within this time")
API_METRICS = (
    REQUESTS, SUCCESSES, CLIENT_ERRORS, SERVER_ERRORS, IN_FLIGHT, HELD, REQUESTED, READY, P50, P95, P99,
)  # fmt: skip
"""The metrics of each API."""

HEARTBEAT = MetricName("OperatorHeartbeat", "Count", "1 from the operator that leads")
GATEWAY = MetricName("GatewayRunning", "Count", "1 if the gateways serve their configuration, else 0")
ALL_REQUESTS = MetricName("AllRequests", "Count", "answered requests of all APIs")
ALL_ERRORS = MetricName("All5XX", "Count", "answers of all APIs with a status of 500 to 599")
ERROR_SHARE = MetricName("5XXShare", "Percent", "part of all answers that are 5XX, in busy minutes")
OLDEST_HELD = MetricName("HeldSeconds", "Seconds", "for how long some API has had waiting requests")
FAILED_STARTS = MetricName("FailingApis", "Count", "APIs whose latest start of a replica failed")
DROPPED_LINES = MetricName("DroppedLogLines", "Count", "lines of the log that did not reach CloudWatch")
DROPPED_EVENTS = MetricName("DroppedEvents", "Count", "events that could not be stored")
CLUSTER_METRICS = (
    HEARTBEAT, GATEWAY, ALL_REQUESTS, ALL_ERRORS, ERROR_SHARE, OLDEST_HELD, FAILED_STARTS, DROPPED_LINES,
    DROPPED_EVENTS,
)  # fmt: skip
"""The metrics of the cluster, without a dimension."""


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One value of a metric."""

    metric: MetricName
    value: float
    api: str = ""
    """Empty for a metric of the cluster."""

    def datum(self, time: datetime) -> dict[str, Any]:
        """Return the form of PutMetricData."""
        dimensions = {"Dimensions": [{"Name": API, "Value": self.api}]} if self.api else {}
        return {
            "MetricName": self.metric.name,
            **dimensions,
            "Timestamp": time,
            "Value": float(self.value),
            "Unit": self.metric.unit,
        }
