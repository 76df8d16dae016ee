"""The dashboard of a cluster in CloudWatch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gyrus.cluster.aws import resource_names as names
from gyrus.cluster.aws.cloudwatch import metric
from gyrus.cluster.aws.cloudwatch.metric import MetricName

WIDTH, HEIGHT = 8, 6
COLUMNS = 24
"""Width of a dashboard."""

Widget = dict[str, Any]

_BY_API: Mapping[str, tuple[MetricName, str]] = {
    "Requests a minute": (metric.REQUESTS, "Sum"),
    "Answers 5XX a minute": (metric.SERVER_ERRORS, "Sum"),
    "Answers 4XX a minute": (metric.CLIENT_ERRORS, "Sum"),
    "Requests in flight": (metric.IN_FLIGHT, "Maximum"),
    "Requests that wait for a replica": (metric.HELD, "Maximum"),
    "Replicas ready": (metric.READY, "Minimum"),
    "Replicas requested": (metric.REQUESTED, "Maximum"),
    "Median latency": (metric.P50, "Average"),
    "99 % of answers within": (metric.P99, "Maximum"),
}
"""The widgets with a line for each API: title, metric and statistic."""
_OF_CLUSTER: Mapping[str, Sequence[tuple[MetricName, str]]] = {
    "Operator and gateways (1: well)": ((metric.HEARTBEAT, "Maximum"), (metric.GATEWAY, "Minimum")),
    "All requests, and 5XX": ((metric.ALL_REQUESTS, "Sum"), (metric.ALL_ERRORS, "Sum")),
    "APIs that fail to start, dropped log lines": (
        (metric.FAILED_STARTS, "Maximum"),
        (metric.DROPPED_LINES, "Sum"),
    ),
}


def dashboard_name(cluster: str) -> str:
    return f"gyrus-{cluster}"


def dashboard_body(cluster_name: str, region: str, apis: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the body of a dashboard, which AWS takes as JSON.

    ``apis``: the APIs to show. None: all, by a search for their metrics, so that new ones appear.
    """
    graphs = [*_cluster_graphs(cluster_name, region), *_api_graphs(cluster_name, region, apis)]
    widgets = [_placed(graph, number) for number, graph in enumerate(graphs)]
    rows = -(-len(graphs) // (COLUMNS // WIDTH))
    return {"widgets": [*widgets, _errors(cluster_name, region, rows * HEIGHT)]}


def _cluster_graphs(cluster: str, region: str) -> Iterator[Widget]:
    for title, shown in _OF_CLUSTER.items():
        lines = [
            [names.metrics_namespace(cluster), own.name, {"stat": statistic}] for own, statistic in shown
        ]
        yield _graph(title, region, lines)


def _api_graphs(cluster: str, region: str, apis: Sequence[str] | None) -> Iterator[Widget]:
    namespace = names.metrics_namespace(cluster)
    for title, (own, statistic) in _BY_API.items():
        if apis is None:
            search = f"SEARCH('{{{namespace},{metric.API}}} MetricName=\"{own.name}\"', '{statistic}')"
            lines: list[list[Any]] = [
                [{"expression": search, "label": f"${{PROP('Dim.{metric.API}')}}", "id": "all"}]
            ]
        else:
            lines = [[namespace, own.name, metric.API, api, {"stat": statistic}] for api in apis]
        yield _graph(title, region, lines)


def _graph(title: str, region: str, lines: Sequence[Sequence[Any]]) -> Widget:
    properties = {
        "title": title,
        "region": region,
        "view": "timeSeries",
        "stacked": False,
        "period": metric.PERIOD,
        "yAxis": {"left": {"min": 0}},
        "metrics": [list(line) for line in lines],
    }
    return {"type": "metric", "properties": properties}


def _errors(cluster: str, region: str, top: int) -> Widget:
    """Return the list of the newest errors in the log."""
    query = (
        f"SOURCE '{names.log_group(cluster)}' | fields @timestamp, api, replica, request_id, message\n"
        '| filter level = "error"\n| sort @timestamp desc\n| limit 50'
    )
    properties = {"title": "Newest errors", "region": region, "view": "table", "query": query}
    return {"type": "log", "x": 0, "y": top, "width": COLUMNS, "height": HEIGHT, "properties": properties}


def _placed(graph: Widget, number: int) -> Widget:
    row, column = divmod(number, COLUMNS // WIDTH)
    return {**graph, "x": column * WIDTH, "y": row * HEIGHT, "width": WIDTH, "height": HEIGHT}
