"""The values of CloudWatch's metrics, from the operator's board. Pure.

Counters of the operator and its gateways only grow, and begin again after a restart. CloudWatch gets the
growth since the minute before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gyrus.cluster.aws.cloudwatch import metric
from gyrus.cluster.aws.cloudwatch.metric import MetricValue
from gyrus.contract.operator import TrafficView
from gyrus.log_archive.export import ExportCounts
from gyrus.state.board import Board, Traffic
from gyrus.state.records import Api
from gyrus.state.status import count

CODES = {"2xx": metric.SUCCESSES, "4xx": metric.CLIENT_ERRORS, "5xx": metric.SERVER_ERRORS}
LATENCIES = (metric.P50, metric.P95, metric.P99)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCounters:
    """Counters at one time, from which growth is measured."""

    requests: Mapping[str, int] = field(default_factory=dict[str, int])
    """By API."""
    codes: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """By API and class of statuses."""
    dropped_lines: int = 0
    dropped_events: int = 0
    held_since: float | None = None
    """Monotonic time since which some API has had waiting requests at each look. None if none has."""


def counters(
    board: Board, export: ExportCounts, now: float, before: MetricCounters | None = None
) -> MetricCounters:
    """Return the counters. ``now``: monotonic, in seconds."""
    held_since = before.held_since if before else None
    return MetricCounters(
        requests={api: traffic.view.requests for api, traffic in board.traffic.items()},
        codes={
            (api, code): number
            for api, traffic in board.traffic.items()
            for code, number in traffic.view.by_code.items()
        },
        dropped_lines=export.dropped,
        dropped_events=board.dropped_events.total(),
        held_since=(now if held_since is None else held_since) if any(board.held.values()) else None,
    )


def measured(
    apis: Sequence[Api], board: Board, before: MetricCounters, after: MetricCounters, now: float
) -> list[MetricValue]:
    """Return all values of one minute. ``now``: monotonic, in seconds."""
    own, others = chosen(apis, after)
    values = [value for api in own for value in _of_api(api, board, before, after)]
    if others:
        values += _together(value for api in others for value in _of_api(api, board, before, after))
    return [*_of_cluster(apis, board, before, after, now), *values]


def chosen(apis: Sequence[Api], after: MetricCounters) -> tuple[list[Api], list[Api]]:
    """Return the APIs that have metrics of their own, and the others."""
    ranked = sorted(apis, key=lambda api: (-after.requests.get(api.name, 0), api.created_at, api.name))
    return ranked[: metric.MOST_APIS], ranked[metric.MOST_APIS :]


def growth(before: int, after: int) -> int:
    """Return how much a counter has grown, if it began again when it is smaller.

    >>> growth(5, 8), growth(5, 2)
    (3, 2)
    """
    return after - before if after >= before else after


def _of_api(api: Api, board: Board, before: MetricCounters, after: MetricCounters) -> Iterator[MetricValue]:
    name, traffic = api.name, board.traffic.get(api.name, Traffic())
    requests = growth(before.requests.get(name, 0), after.requests.get(name, 0))
    replicas = count(api, board.replicas.get(name, ()))
    values = {
        metric.REQUESTS: requests,
        metric.IN_FLIGHT: traffic.in_flight,
        metric.HELD: board.held.get(name, 0),
        metric.REQUESTED: replicas.requested,
        metric.READY: replicas.ready,
    }
    for code, own in CODES.items():
        values[own] = growth(before.codes.get((name, code), 0), after.codes.get((name, code), 0))
    yield from (MetricValue(own, value, name) for own, value in values.items())
    if requests:
        yield from _latencies(traffic.view, name)


def _latencies(view: TrafficView, api: str) -> Iterator[MetricValue]:
    for own, value in zip(LATENCIES, (view.p50, view.p95, view.p99), strict=True):
        if value is not None:
            yield MetricValue(own, value, api)


def _together(values: Iterable[MetricValue]) -> Iterator[MetricValue]:
    """Yield the sums of metrics over APIs. Latencies have none."""
    sums: Counter[metric.MetricName] = Counter()
    for value in values:
        if value.metric not in LATENCIES:
            sums[value.metric] += int(value.value)
    return (MetricValue(own, number, metric.OTHERS) for own, number in sums.items())


def _of_cluster(
    apis: Sequence[Api], board: Board, before: MetricCounters, after: MetricCounters, now: float
) -> Iterator[MetricValue]:
    names = {api.name for api in apis}
    requests = sum(growth(before.requests.get(api, 0), number) for api, number in after.requests.items())
    errors = sum(
        growth(before.codes.get(key, 0), number) for key, number in after.codes.items() if key[1] == "5xx"
    )
    values = {
        metric.HEARTBEAT: 1.0,
        metric.GATEWAY: float(board.gateway == "running"),
        metric.ALL_REQUESTS: requests,
        metric.ALL_ERRORS: errors,
        metric.OLDEST_HELD: 0.0 if after.held_since is None else now - after.held_since,
        metric.FAILED_STARTS: len(names & board.start_failures.keys()),
        metric.DROPPED_LINES: growth(before.dropped_lines, after.dropped_lines),
        metric.DROPPED_EVENTS: growth(before.dropped_events, after.dropped_events),
    }
    if requests >= metric.LEAST_REQUESTS:
        values[metric.ERROR_SHARE] = 100 * errors / requests
    return (MetricValue(own, value) for own, value in values.items())
