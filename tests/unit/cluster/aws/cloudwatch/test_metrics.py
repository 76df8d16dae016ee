"""The metrics of a minute, and the task that sends them."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.aio.virtual import VirtualClock
from gyrus.cluster.aws.cloudwatch import metric
from gyrus.cluster.aws.cloudwatch.measuring import counters, growth, measured
from gyrus.cluster.aws.cloudwatch.publisher import MetricPublisher, parts_of
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.cluster.aws.errors import AwsDenied
from gyrus.contract.operator import TrafficView
from gyrus.log_archive.export import ExportCounts
from gyrus.state.board import Board, Traffic
from gyrus.state.records import Api
from support.aws.logs_service import MemoryLogs, TroubledCalls
from support.world import api, replica


def board_of(requests: dict[str, int], errors: int = 0) -> Board:
    board = Board(gateway="running")
    for name, number in requests.items():
        codes = {"2xx": number - errors, "5xx": errors}
        view = TrafficView(requests=number, by_code=codes, p50=5.0, p95=7.0, p99=9.0)
        board.traffic[name] = Traffic(in_flight=2, view=view)
    return board


def minute(before: Board, after: Board, *apis: Api, dropped: int = 0) -> dict[tuple[str, str], float]:
    first = counters(before, ExportCounts(), 0.0)
    second = counters(after, ExportCounts(dropped=dropped), 60.0, first)
    values = measured(apis, after, first, second, 60.0)
    assert len({(value.metric, value.api) for value in values}) == len(values)
    return {(value.api, value.metric.name): value.value for value in values}


def test_the_values_of_an_api_and_of_the_cluster() -> None:
    board = board_of({"iris": 40}, errors=4)
    board.held["iris"] = 3
    board.replicas["iris"] = (replica("iris-1-a"),)
    found = minute(board_of({"iris": 10}), board, api(replicas=2), dropped=5)
    assert {name: value for (name_of, name), value in found.items() if name_of == "iris"} == {
        "Requests": 30,
        "2XX": 26,
        "4XX": 0,
        "5XX": 4,
        "InFlight": 2,
        "Held": 3,
        "ReplicasRequested": 2,
        "ReplicasReady": 1,
        "LatencyP50": 5.0,
        "LatencyP95": 7.0,
        "LatencyP99": 9.0,
    }
    assert {name: value for (name_of, name), value in found.items() if not name_of} == {
        "OperatorHeartbeat": 1.0,
        "GatewayRunning": 1.0,
        "AllRequests": 30,
        "All5XX": 4,
        "5XXShare": pytest.approx(13.333, abs=0.01),
        "HeldSeconds": 0.0,
        "FailingApis": 0,
        "DroppedLogLines": 5,
        "DroppedEvents": 0,
    }


def test_a_minute_without_requests_has_no_latency_and_no_share_of_errors() -> None:
    found = minute(board_of({"iris": 10}), board_of({"iris": 10}), api())
    assert not [key for key in found if key[1].startswith("Latency")]
    assert ("", "5XXShare") not in found


def test_waiting_is_measured_from_the_first_look_that_found_it() -> None:
    waiting = Board(held={"iris": 1})
    first = counters(waiting, ExportCounts(), 100.0)
    second = counters(waiting, ExportCounts(), 160.0, first)
    assert second.held_since == 100.0
    assert counters(Board(held={"iris": 0}), ExportCounts(), 220.0, second).held_since is None


@given(st.lists(st.integers(0, 1000), max_size=metric.MOST_APIS + 20))
def test_the_number_of_metrics_is_bounded_and_no_request_is_left_out(requests: list[int]) -> None:
    names = {f"api-{number}": count for number, count in enumerate(requests)}
    apis = [api(name=name) for name in names]
    found = minute(Board(), board_of(names), *apis)
    most = (metric.MOST_APIS + 1) * len(metric.API_METRICS) + len(metric.CLUSTER_METRICS)
    assert len(found) <= most
    total = sum(value for (name, metric_name), value in found.items() if name and metric_name == "Requests")
    assert total == sum(requests) == found["", "AllRequests"]


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_counter_that_began_again_does_not_shrink(before: int, after: int) -> None:
    assert growth(before, after) == (after - before if after >= before else after)


def test_a_call_has_at_most_a_thousand_values() -> None:
    assert [len(part) for part in parts_of([{} for _ in range(2001)])] == [1000, 1000, 1]


class OneApi:
    async def apis(self) -> tuple[Api, ...]:
        return (api(),)


async def test_values_are_sent_each_minute_and_a_failure_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = VirtualClock()
    service = MemoryLogs(now=lambda: clock.now().timestamp())
    calls = TroubledCalls(service, random.Random(1), clock.sleep)
    publisher = MetricPublisher(
        calls=calls,
        target=CloudWatchTarget.of("models", "eu-west-1"),
        clock=clock,
        store=OneApi(),
        board=board_of({"iris": 5}),
        export=ExportCounts(),
    )
    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(publisher.run())
        await clock.advance(121)
        sent = len(service.metrics)
        calls.error = AwsDenied("cloudwatch:PutMetricData", "not authorized")
        await clock.advance(180)
        calls.error = None
        await clock.advance(60)
        task.cancel()
        await asyncio.wait([task])
    assert {datum["Namespace"] for datum in service.metrics} == {"gyrus/models"}
    assert sent == 2 * (len(service.metrics) - sent)
    assert caplog.messages == [
        "CloudWatch takes no metrics: The credentials lack the right cloudwatch:PutMetricData: "
        "not authorized",
        "CloudWatch takes metrics again.",
    ]
