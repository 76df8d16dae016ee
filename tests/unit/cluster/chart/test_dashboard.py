"""The dashboard asks for metrics that exist, and the names of metrics follow Prometheus' conventions."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gyrus.cluster.chart.dashboard import dashboard, expressions
from gyrus.runtime.telemetry.metrics import Metrics
from gyrus.server.metrics import BoardCollector
from gyrus.state.board import Board
from support.metrics import names_in, series

OF_GATEWAYS = {"envoy_http_downstream_cx_active", "envoy_server_memory_allocated"}
"""Metrics of Envoy. ``tests/kubernetes/test_chart.py`` checks them on gateways that run."""
GAUGES: dict[str, tuple[str, float]] = dict.fromkeys(
    ("in_flight", "queued", "slots_busy", "slots_overdue"), ("Help.", 1.0)
)
UNITS = ("_seconds", "_ratio", "_bytes")


def operators() -> list[Metric]:
    registry = CollectorRegistry()
    registry.register(BoardCollector([], Board()))
    return list(registry.collect())


def replicas() -> list[Metric]:
    return list(text_string_to_metric_families(Metrics().exposition(GAUGES).decode()))


@pytest.mark.parametrize("expression", expressions())
def test_each_metric_of_the_dashboard_exists(expression: str) -> None:
    known = {name for metric in (*operators(), *replicas()) for name in series(metric)} | OF_GATEWAYS
    assert names_in(expression)
    assert names_in(expression) <= known


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("metric", [*operators(), *replicas()], ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"gyrus(_[a-z]+)+", metric.name)
    assert metric.documentation
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket"))
    timed = re.search(r"seconds|duration|latency", metric.name) is not None
    assert metric.name.endswith(UNITS) or not timed
    for sample in metric.samples:
        assert all(re.fullmatch(r"[a-z_]+", label) for label in sample.labels)


def test_operator_and_replicas_share_no_name() -> None:
    assert not {metric.name for metric in operators()} & {metric.name for metric in replicas()}
