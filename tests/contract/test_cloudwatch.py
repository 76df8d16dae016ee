"""Log and metrics of a cluster on emulated CloudWatch: ministack as a process, and moto."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import SystemClock
from gyrus.cluster.aws.calls import AwsCalls, CallRules
from gyrus.cluster.aws.cloudwatch import metric
from gyrus.cluster.aws.cloudwatch.dashboard import dashboard_name
from gyrus.cluster.aws.cloudwatch.gateway_lines import GatewayLines
from gyrus.cluster.aws.cloudwatch.metric import MetricValue
from gyrus.cluster.aws.cloudwatch.shipper import LogShipper
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.cluster.aws.stacks import Stacks, WantedStack
from gyrus.cluster.aws.templates.document import StackTemplate
from gyrus.cluster.aws.templates.health import health
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveLimits, LogBatch
from gyrus.log_archive.folder import SegmentFolder
from gyrus.log_archive.intake import LogIntake
from gyrus.log_archive.segmented import SegmentedArchive
from support.aws.account import REGION, AwsAccount, aws_account
from support.cluster_templates import cluster

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
WITHIN = 60.0
RULES = CallRules(backoff=Backoff(0.02, 0.2))
Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as running:
        yield running


@pytest.fixture(params=["ministack", "moto"])
def clients(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    if request.param == "ministack":
        running: AwsAccount = request.getfixturevalue("account")
        yield running.client
        running.set(throttled=0, failed=0, delay=0)
        return
    moto: Any = import_module("moto")
    boto3: Any = import_module("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with moto.mock_aws():
        yield lambda service: boto3.client(service, region_name=REGION)


class Cluster:
    """The parts of an operator through which lines go."""

    def __init__(self, clients: Clients, name: str, folder: Path) -> None:
        self.folder = folder
        self.calls = AwsCalls(REGION, clients=clients, rules=RULES)
        self.target = CloudWatchTarget.of(name, REGION)
        self.shipper = LogShipper(self.calls, self.target, SystemClock(), lambda api, replica: 1)
        archive = SegmentedArchive(SegmentFolder(folder, reserve=0))
        self.intake = LogIntake(archive, ArchiveLimits(), SystemClock(), self.shipper)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.shipper.run(), name="CloudWatch log"),
                group.create_task(self.intake.run(), name="log archive"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def write(self, number: int, *messages: str, api: str = "iris", replica: str = "iris-1-a") -> None:
        lines = tuple(LogLine(time=time.time(), replica=replica, message=message) for message in messages)
        await self.intake.add(LogBatch(api=api, replica=replica, number=number, lines=lines))

    async def read(self, *, replica: str | None = None, tail: int | None = None) -> list[str]:
        asked = LogQuery(api="iris", since=time.time() - 3 * 86_400, replica=replica, tail=tail)
        async with aclosing(self.intake.read(asked)) as lines:
            return [line.message async for line in lines]

    async def sent(self, lines: int) -> None:
        async with asyncio.timeout(WITHIN):
            while self.shipper.counts.lines < lines:  # noqa: ASYNC110 -- nothing announces it
                await asyncio.sleep(0.1)


async def test_lines_are_read_back_after_the_archive_has_lost_them(clients: Clients, tmp_path: Path) -> None:
    world = Cluster(clients, "models", tmp_path / "logs")
    expected = ["loading", "", '{"user": 1}', "x" * 600_000, "é\x00\n  trace"]
    async with world.running():
        for number, message in enumerate(expected):
            await world.write(number, message)
        await world.write(9, "another API", api="wine", replica="wine-1-a")
        await world.sent(6)
        assert await world.read() == expected
        shutil.rmtree(tmp_path / "logs")
        assert await world.read() == expected
        assert await world.read(tail=2) == expected[-2:]
        assert await world.read(replica="iris-1-b") == []
    assert world.shipper.counts.dropped == 0


async def test_every_line_arrives_once_though_calls_are_throttled_delayed_and_their_answers_lost(
    account: AwsAccount, tmp_path: Path
) -> None:
    world = Cluster(account.client, "troubled", tmp_path / "logs")
    account.set(throttled=0.3, failed=0.2, delay=0.2)
    expected = [f"line {number}" for number in range(40)]
    try:
        async with world.running():
            for number, message in enumerate(expected):
                await world.write(number, message, replica=f"iris-1-{number % 4}")
                await asyncio.sleep(0.1)
            await world.sent(40)
            shutil.rmtree(tmp_path / "logs")
            assert sorted(await world.read()) == sorted(expected)
    finally:
        account.set(throttled=0, failed=0, delay=0)
    assert world.shipper.counts.dropped == 0


async def test_gateways_go_on_after_the_last_line_that_was_sent(clients: Clients, tmp_path: Path) -> None:
    world = Cluster(clients, "gateways", tmp_path / "logs")
    gateways = GatewayLines(world.calls, world.target, world.shipper)
    assert await gateways.last_batch("", "gyrus-gateway-a", "gateway") is None
    async with world.running():
        for number, message in ((11, "[warning] a"), (12, "[warning] b"), (13, '{"code": 200}')):
            line = LogLine(time=time.time(), replica="gyrus-gateway-a", message=message)
            await gateways.add(LogBatch(api="", replica="gyrus-gateway-a", number=number, lines=(line,)))
        await world.sent(2)
        assert await gateways.last_batch("", "gyrus-gateway-a", "gateway") == 12


async def test_metrics_are_those_that_the_alarms_watch(clients: Clients) -> None:
    calls = AwsCalls(REGION, clients=clients, rules=RULES)
    target = CloudWatchTarget.of("models", REGION)
    now = datetime.now(UTC)
    values = [MetricValue(metric.HEARTBEAT, 1), MetricValue(metric.REQUESTS, 7, "iris")]
    data = [value.datum(now) for value in values]
    await calls.call("cloudwatch", "put_metric_data", Namespace=target.namespace, MetricData=data)
    dimensions = [{"Name": "api", "Value": "iris"}]
    for name, found in (("OperatorHeartbeat", []), ("Requests", dimensions)):
        answer = await calls.call(
            "cloudwatch",
            "get_metric_statistics",
            Namespace="gyrus/models",
            MetricName=name,
            Dimensions=found,
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Sum"],
        )
        assert [point["Sum"] for point in answer["Datapoints"]] == [7.0 if found else 1.0]


async def test_the_stack_has_dashboard_and_alarms_and_removes_them(account: AwsAccount) -> None:
    template: StackTemplate = {"Resources": health(cluster(cluster_name="watched"))}
    stacks = Stacks(account.calls(), report=lambda _: None, polls=Backoff(0.02, 0.2))
    await stacks.apply(WantedStack(name="watched", template=template, parameters={}, tags={}))
    cloudwatch = account.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix="gyrus-watched-")["MetricAlarms"]
    assert {alarm["AlarmName"].rpartition("-")[2] for alarm in alarms} == {
        *("Operator", "Gateway", "Error", "Waiting", "Start", "DroppedLines")
    }
    body = json.loads(cloudwatch.get_dashboard(DashboardName=dashboard_name("watched"))["DashboardBody"])
    assert len(body["widgets"]) == 13
    await stacks.delete("watched")
    assert not cloudwatch.describe_alarms(AlarmNamePrefix="gyrus-watched-")["MetricAlarms"]
    assert not cloudwatch.list_dashboards()["DashboardEntries"]
