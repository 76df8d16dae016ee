"""Metrics of replicas, requests and decisions, for Prometheus."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gyrus.contract.operator import TrafficView
from gyrus.server.dependencies import ContextDep
from gyrus.server.problems import responses
from gyrus.state.board import Board
from gyrus.state.gateway_load import LimitUse
from gyrus.state.records import Api
from gyrus.state.status import count, pool_views
from gyrus.state.store import Store

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter()


@router.get(
    "/metrics",
    response_class=Response,
    responses=responses() | {200: {"description": "Prometheus's text format", "content": {"text/plain": {}}}},
)
async def get_metrics(context: ContextDep) -> Response:
    """Return the metrics of all APIs, in Prometheus's text format."""
    return Response(await exposition(context.store, context.board), media_type=MEDIA_TYPE)


async def exposition(store: Store, board: Board) -> bytes:
    """Return the metrics of all APIs, in Prometheus's text format. Raises StateError."""
    collector = BoardCollector(await store.apis(), snapshot_of(board))
    return await asyncio.to_thread(_rendered, collector)


def operator_exposition(*, leads: bool, store_answers: bool) -> bytes:
    """Return the metrics of the operator itself, in Prometheus's text format."""
    return _rendered(_OperatorCollector(leads, store_answers))


@dataclass(frozen=True, eq=False)
class _OperatorCollector(Collector):
    leads: bool
    store_answers: bool

    def collect(self) -> Iterator[Metric]:
        leader = "1 if this operator leads, 0 if it stands by"
        yield GaugeMetricFamily("gyrus_operator_leader", leader, value=float(self.leads))
        reachable = "1 if the store answers this operator, else 0"
        yield GaugeMetricFamily("gyrus_operator_store_reachable", reachable, value=float(self.store_answers))


def snapshot_of(board: Board) -> Board:
    """Return a copy of the board: a thread reads it while the event loop changes the original."""
    return replace(
        board,
        replicas=dict(board.replicas),
        traffic=dict(board.traffic),
        held=dict(board.held),
        acknowledgements=board.acknowledgements.copy(),
        scaling=dict(board.scaling),
        decisions={name: counts.copy() for name, counts in board.decisions.items()},
        starts=dict(board.starts),
    )


def _rendered(collector: Collector) -> bytes:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class BoardCollector(Collector):
    """The metrics of a board. Each has the label ``api``, except the gateway's own. Pure."""

    apis: Sequence[Api]
    board: Board

    def collect(self) -> Iterator[Metric]:
        yield self._replicas()
        in_flight = {name: traffic.in_flight for name, traffic in self.board.traffic.items()}
        held, scaling = self.board.held, self.board.scaling
        yield self._gauge("gyrus_in_flight", "Requests that have arrived and are not answered", in_flight)
        yield self._gauge("gyrus_held", "Requests that wait because there is no replica", held)
        desired = {name: view.desired for name, view in scaling.items()}
        yield self._gauge(
            "gyrus_autoscaler_desired", "Replicas that the traffic requires, before limits", desired
        )
        yield from self._pools()
        yield self._decisions()
        yield self._starts()
        yield self._dropped_events()
        yield from self._gateway()
        yield self._acknowledgements()
        yield from self._activator()
        yield from self._log_archive()
        yield from self._nodes()
        yield from self._log_export()
        yield from self._costs()

    def _replicas(self) -> Metric:
        """Count replicas. The label ``state`` is ``requested`` or ``ready``."""
        metric = GaugeMetricFamily("gyrus_replicas", "Replicas", labels=["api", "state"])
        for api in self.apis:
            counts = count(api, self.board.replicas.get(api.name, ()))
            metric.add_metric([api.name, "requested"], counts.requested)
            metric.add_metric([api.name, "ready"], counts.ready)
        return metric

    def _gauge(self, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
        """Build a gauge. A missing value is 0, since a series that comes and goes is hard to sum."""
        metric = GaugeMetricFamily(name, meaning, labels=["api"])
        for api in self.apis:
            metric.add_metric([api.name], values.get(api.name, 0))
        return metric

    def _pools(self) -> Iterator[Metric]:
        """Build the metrics by revision. ``generation`` changes when a refresh replaces its replicas."""
        labels = ["api", "revision", "generation"]
        shares = GaugeMetricFamily("gyrus_share_ratio", "Part of new requests, 0 to 1", labels=labels)
        in_flight = GaugeMetricFamily(
            "gyrus_revision_in_flight", "Requests in flight, by revision", labels=labels
        )
        requests = CounterMetricFamily(
            "gyrus_requests", "Answered requests since the gateway started", labels=[*labels, "code"]
        )
        latencies = GaugeMetricFamily(
            "gyrus_latency_seconds", "Time to the answer, by quantile", labels=[*labels, "quantile"]
        )
        for api in self._names():
            for pool in pool_views(self.board, api):
                values = [api, str(pool.revision), str(pool.generation)]
                shares.add_metric(values, pool.share)
                in_flight.add_metric(values, pool.in_flight)
                for code, number in sorted(pool.traffic.by_code.items()):
                    requests.add_metric([*values, code], number)
                for quantile, milliseconds in _quantiles(pool.traffic):
                    latencies.add_metric([*values, quantile], milliseconds / 1000)
        return iter((shares, in_flight, requests, latencies))

    def _decisions(self) -> Metric:
        """Count decisions.

        The label ``rule`` is the rule that bound the decision, or empty. ``direction`` is up, down or stay.
        """
        meaning = "Decisions since the operator started"
        labels = ["api", "rule", "direction"]
        metric = CounterMetricFamily("gyrus_autoscaler_decisions", meaning, labels=labels)
        for api in self._names():
            for (rule, direction), number in sorted(self.board.decisions.get(api, Counter()).items()):
                metric.add_metric([api, rule, direction], number)
        return metric

    def _starts(self) -> Metric:
        """Build the startup times. The label ``kind`` is cold or warm."""
        meaning = "Median of the latest starts, from order to reachability, in seconds"
        metric = GaugeMetricFamily("gyrus_start_seconds", meaning, labels=["api", "kind"])
        for api in self._names():
            for times in self.board.starts.get(api, ()):
                metric.add_metric([api, times.kind], times.median)
        return metric

    def _dropped_events(self) -> Metric:
        meaning = "Events that could not be stored since the operator started"
        metric = CounterMetricFamily("gyrus_events_dropped", meaning, labels=["api"])
        for api in self._names():
            metric.add_metric([api], self.board.dropped_events[api])
        return metric

    def _gateway(self) -> Iterator[Metric]:
        """Build the use of the gateway's limits. The label ``limit`` names the limit."""
        load = self.board.gateway_load
        uses = {"connections": load.connections} | {
            f"{name}_bodies": use for name, use in load.bodies.items()
        }
        used, most, refused = _limits("gateway", "gateway", uses)
        refused.add_metric(["memory"], load.resets)
        return iter((used, most, refused))

    def _acknowledgements(self) -> Metric:
        known = self.board.acknowledgements
        return HistogramMetricFamily(
            "gyrus_gateway_acknowledgement_seconds",
            "Time from a change of an API's endpoints until every gateway had acknowledged it",
            buckets=list(known.buckets()),
            sum_value=known.total,
        )

    def _activator(self) -> Iterator[Metric]:
        """Build the use of the activator's limits, for requests of APIs without a replica."""
        return iter(_limits("activator", "operator", self.board.hold_load))

    def _log_archive(self) -> Iterator[Metric]:
        """Build the counts of the log archive. There are none where replicas keep their own logs."""
        counts = self.board.log_archive
        if counts is None:
            return
        since = "since the operator started"
        yield GaugeMetricFamily("gyrus_log_archive_bytes", "Size of the log archive", counts.size)
        yield CounterMetricFamily("gyrus_log_archive_lines", f"Lines archived {since}", counts.lines)
        meaning = f"Batches of lines that could not be stored {since}, each try counted"
        yield CounterMetricFamily("gyrus_log_archive_failures", meaning, counts.failures)

    def _nodes(self) -> Iterator[Metric]:
        """Build the metrics of nodes. There are none where the operator plans none."""
        view = self.board.nodes
        if view is None:
            return
        labels = ["group", "capacity_type"]
        desired = GaugeMetricFamily("gyrus_nodes_desired", "Nodes that a group shall have", labels=labels)
        barred = GaugeMetricFamily("gyrus_nodes_barred", "1 if a group gets no new nodes", labels=labels)
        for pool in view.pools:
            desired.add_metric([pool.group, pool.capacity_type], pool.desired)
            barred.add_metric([pool.group, pool.capacity_type], float(pool.barred_until is not None))
        states = Counter((node.group, node.capacity_type, node.state) for node in view.nodes)
        nodes = GaugeMetricFamily("gyrus_nodes", "Nodes", labels=[*labels, "state"])
        for values, number in sorted(states.items()):
            nodes.add_metric([*values], number)
        yield from (desired, barred, nodes)
        short = "Seconds since the operator started in which a pod waited for capacity that was not to be had"
        yield CounterMetricFamily("gyrus_nodes_short_seconds", short, view.short_seconds)
        duration = "Time that the latest plan of nodes took, in seconds"
        yield GaugeMetricFamily("gyrus_nodes_plan_seconds", duration, view.plan_seconds)
        failures = "Changes of the latest plan of nodes that failed"
        yield GaugeMetricFamily("gyrus_nodes_failures", failures, len(view.failures) + bool(view.fault))

    def _costs(self) -> Iterator[Metric]:
        """Build the costs. There are none if no machine has a price. The label ``part`` is idle or shared."""
        spending = self.board.spending
        if spending is None:
            return
        since = "US dollars since the operator started"
        yield self._gauge("gyrus_cost_per_hour_usd", "US dollars per hour at present", spending.per_hour)
        total = CounterMetricFamily("gyrus_cost_usd", since, labels=["api"])
        for api in self._names():
            total.add_metric([api], spending.total.get(api, 0.0))
        yield total
        what = "for capacity that no API reserves, and for shared parts"
        rest = GaugeMetricFamily(
            "gyrus_other_cost_per_hour_usd", f"US dollars per hour {what}", labels=["part"]
        )
        rest.add_metric(["idle"], spending.idle_per_hour)
        rest.add_metric(["shared"], spending.shared_per_hour)
        yield rest
        other = CounterMetricFamily("gyrus_other_cost_usd", f"{since} {what}", labels=["part"])
        other.add_metric(["idle"], spending.idle_total)
        other.add_metric(["shared"], spending.shared_total)
        yield other

    def _log_export(self) -> Iterator[Metric]:
        """Build the counts of the log's copy outside the cluster. There are none without one."""
        counts = self.board.log_export
        if counts is None:
            return
        since = "since the operator started"
        meaning = "Bytes of lines that wait to be sent to CloudWatch"
        yield GaugeMetricFamily("gyrus_log_export_waiting_bytes", meaning, counts.waiting)
        yield CounterMetricFamily("gyrus_log_export_lines", f"Lines sent to CloudWatch {since}", counts.lines)
        meaning = f"Lines that did not reach CloudWatch {since}"
        yield CounterMetricFamily("gyrus_log_export_dropped", meaning, counts.dropped)
        meaning = f"Calls of CloudWatch Logs that failed {since}"
        yield CounterMetricFamily("gyrus_log_export_failures", meaning, counts.failures)

    def _names(self) -> Iterable[str]:
        return (api.name for api in self.apis)


def _limits(
    part: str, process: str, uses: Mapping[str, LimitUse]
) -> tuple[GaugeMetricFamily, GaugeMetricFamily, CounterMetricFamily]:
    """Build the metrics of one part's limits. ``process``: the one whose start resets the counts."""
    used = GaugeMetricFamily(f"gyrus_{part}_used", "Present use of a limit", labels=["limit"])
    most = GaugeMetricFamily(f"gyrus_{part}_limit", f"Limits of the {part}", labels=["limit"])
    meaning = f"Refusals at a limit since the {process} started"
    refused = CounterMetricFamily(f"gyrus_{part}_refused", meaning, labels=["limit"])
    for name, use in uses.items():
        used.add_metric([name], use.used)
        most.add_metric([name], use.most)
        refused.add_metric([name], use.refused)
    return used, most, refused


def _quantiles(traffic: TrafficView) -> Iterator[tuple[str, float]]:
    """Yield the measured quantiles, in milliseconds."""
    known = {"0.5": traffic.p50, "0.95": traffic.p95, "0.99": traffic.p99}
    return ((quantile, value) for quantile, value in known.items() if value is not None)
