"""The dashboard for Grafana: APIs, replicas, gateways, operator. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

GrafanaObject = dict[str, Any]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "[$__rate_interval]"
CHOSEN = '{api=~"$api"}'
COLUMNS, HEIGHT = 24, 8


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of PromQL, and the name of its series."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    description: str
    unit: str
    """Grafana's name of the unit."""
    queries: Sequence[Query]
    stacked: bool = False


def _rate(name: str, by: str, legend: str) -> Query:
    return Query(f"sum by ({by}) (rate({name}{CHOSEN}{RATE}))", legend)


def _duration(quantile: str) -> Query:
    buckets = f"sum by (api, le) (rate(gyrus_replica_request_duration_seconds_bucket{CHOSEN}{RATE}))"
    return Query(f"histogram_quantile({quantile}, {buckets})", f"{{{{api}}}} p{quantile.removeprefix('0.')}")


def _acknowledgement(quantile: str) -> Query:
    buckets = f"sum by (le) (rate(gyrus_gateway_acknowledgement_seconds_bucket{RATE}))"
    return Query(f"histogram_quantile({quantile}, {buckets})", f"p{quantile.removeprefix('0.')}")


ROWS: dict[str, Sequence[Panel]] = {
    "APIs": (
        Panel(
            "Answers",
            "Answered requests by class of their code, as the gateways count them.",
            "reqps",
            [_rate("gyrus_requests_total", "api, code", "{{api}} {{code}}")],
            stacked=True,
        ),
        Panel(
            "Time to the answer",
            "From a complete request to the start of its answer, in replicas: the wait for a slot included.",
            "s",
            [_duration("0.5"), _duration("0.95"), _duration("0.99")],
        ),
        Panel(
            "Requests in flight",
            "Requests that have arrived and are not answered. Held: those that wait for a replica.",
            "short",
            [
                Query(f"gyrus_in_flight{CHOSEN}", "{{api}}"),
                Query(f"gyrus_held{CHOSEN}", "{{api}} held"),
            ],
        ),
        Panel(
            "Replicas",
            "Replicas that are requested and ready, and those that the traffic requires before any limit.",
            "short",
            [
                Query(f"gyrus_replicas{CHOSEN}", "{{api}} {{state}}"),
                Query(f"gyrus_autoscaler_desired{CHOSEN}", "{{api}} desired"),
            ],
        ),
        Panel(
            "Traffic by revision",
            "The part of new requests that each revision gets.",
            "percentunit",
            [Query(f"sum by (api, revision) (gyrus_share_ratio{CHOSEN})", "{{api}} {{revision}}")],
            stacked=True,
        ),
        Panel(
            "Start of replicas",
            "Median of the latest starts, from the order to the first request that can arrive.",
            "s",
            [Query(f"gyrus_start_seconds{CHOSEN}", "{{api}} {{kind}}")],
        ),
    ),
    "Replicas": (
        Panel(
            "Slots and queues",
            "Slots that are busy, and requests that wait for one.",
            "short",
            [
                Query(f"sum by (api) (gyrus_replica_slots_busy{CHOSEN})", "{{api}} busy"),
                Query(f"sum by (api) (gyrus_replica_queued{CHOSEN})", "{{api}} queued"),
            ],
        ),
        Panel(
            "Requests without an answer of the handler",
            "Requeued to another replica, refused by a full queue, over their timeout, or abandoned.",
            "reqps",
            [
                _rate("gyrus_replica_requeued_total", "api", "{{api}} requeued"),
                _rate("gyrus_replica_rejected_total", "api", "{{api}} rejected"),
                _rate("gyrus_replica_timed_out_total", "api", "{{api}} timed out"),
                _rate("gyrus_replica_abandoned_total", "api", "{{api}} abandoned"),
            ],
        ),
    ),
    "Gateways": (
        Panel(
            "Connections of clients",
            "Open connections of each gateway's pod.",
            "short",
            [Query("sum by (pod) (envoy_http_downstream_cx_active)", "{{pod}}")],
        ),
        Panel(
            "Memory",
            "Memory that each gateway has allocated.",
            "bytes",
            [Query("envoy_server_memory_allocated", "{{pod}}")],
        ),
        Panel(
            "Refusals at limits",
            "Requests and connections that gateways and activator have refused.",
            "reqps",
            [
                Query(f"sum by (limit) (rate(gyrus_gateway_refused_total{RATE}))", "gateway {{limit}}"),
                Query(f"sum by (limit) (rate(gyrus_activator_refused_total{RATE}))", "activator {{limit}}"),
            ],
        ),
    ),
    "Operator": (
        Panel(
            "Acknowledgement of changes",
            "From a change of an API's endpoints until every gateway has acknowledged it.",
            "s",
            [_acknowledgement("0.5"), _acknowledgement("0.99")],
        ),
        Panel(
            "Decisions of the autoscaler",
            "Decisions by the rule that limited them.",
            "ops",
            [_rate("gyrus_autoscaler_decisions_total", "rule, direction", "{{rule}} {{direction}}")],
        ),
        Panel(
            "Use of the activator",
            "The part of each limit that held requests use.",
            "percentunit",
            [Query("gyrus_activator_used / gyrus_activator_limit", "{{limit}}")],
        ),
        Panel(
            "Events that were lost",
            "Events that could not be stored.",
            "ops",
            [_rate("gyrus_events_dropped_total", "api", "{{api}}")],
        ),
    ),
}


def dashboard() -> GrafanaObject:
    """Return the dashboard, as Grafana imports it."""
    panels: list[GrafanaObject] = []
    top = 0
    for row, contents in ROWS.items():
        panels.append(_row(row, top, len(panels) + 1))
        top += 1
        width = COLUMNS // min(3, len(contents))
        for index, panel in enumerate(contents):
            column, line = index % (COLUMNS // width), index // (COLUMNS // width)
            place = {"x": column * width, "y": top + line * HEIGHT, "w": width, "h": HEIGHT}
            panels.append(_panel(panel, place, len(panels) + 1))
        top += -(-len(contents) // (COLUMNS // width)) * HEIGHT
    return {
        "title": "gyrus",
        "uid": "gyrus",
        "tags": ["gyrus"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source(), _apis()]},
        "panels": panels,
    }


def expressions() -> list[str]:
    """Return all expressions of the dashboard."""
    return [query.expression for row in ROWS.values() for panel in row for query in panel.queries]


def _row(title: str, top: int, number: int) -> GrafanaObject:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(panel: Panel, place: GrafanaObject, number: int) -> GrafanaObject:
    custom: GrafanaObject = {"fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _source() -> GrafanaObject:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _apis() -> GrafanaObject:
    return {
        "name": "api",
        "label": "API",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(gyrus_replicas, api)",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
