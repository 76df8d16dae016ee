"""Names of metrics: in expressions, and in what Prometheus scrapes."""

from __future__ import annotations

import re

from prometheus_client.core import Metric


def series(metric: Metric) -> set[str]:
    """Return the names of the series of a metric."""
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
    return {f"{metric.name}{end}" for end in ends}


def names_in(expression: str) -> set[str]:
    """Return the names of the series that an expression of PromQL has."""
    return set(re.findall(r"\b(?:gyrus|envoy)_\w+", expression))
