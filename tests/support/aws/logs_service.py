# ruff: noqa: N803 -- the names of arguments are those of AWS
"""CloudWatch Logs in memory, with the limits of the service; and a layer that fails calls before it."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsError, AwsNotFound, AwsRejected, AwsThrottled, AwsUnreachable

DAY = 24 * 3600 * 1000
PAGE = 1000


@dataclass
class MemoryLogs:
    """Implements :class:`gyrus.cluster.aws.calls.AwsCaller` for the operations that gyrus calls."""

    now: Callable[[], float]
    groups: set[str] = field(default_factory=set[str])
    streams: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    retention: dict[str, int] = field(default_factory=dict[str, int])
    calls: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    metrics: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def call(self, service: str, operation: str, /, **arguments: Any) -> Answer:
        await asyncio.sleep(0)
        self.calls[operation] += 1
        return getattr(self, operation)(**arguments)

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        return (await self.call(service, operation, **arguments))[key]

    def create_log_group(self, logGroupName: str) -> Answer:
        self.groups.add(logGroupName)
        return {}

    def put_retention_policy(self, logGroupName: str, retentionInDays: int) -> Answer:
        self.retention[logGroupName] = retentionInDays
        return {}

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> Answer:
        if logGroupName not in self.groups:
            raise missing("CreateLogStream")
        if logStreamName in self.streams:
            raise AwsRejected("logs", "CreateLogStream", "ResourceAlreadyExistsException", "it exists")
        self.streams[logStreamName] = []
        return {}

    def put_log_events(
        self, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]
    ) -> Answer:
        if logGroupName not in self.groups or logStreamName not in self.streams:
            raise missing("PutLogEvents")
        times = [event["timestamp"] for event in logEvents]
        sizes = [len(event["message"].encode()) + 26 for event in logEvents]
        within = len(sizes) <= 10_000 and sum(sizes) <= 1_048_576 and max(sizes) <= 256 * 1024
        if not within or times != sorted(times) or times[-1] - times[0] >= DAY:
            raise AwsRejected("logs", "PutLogEvents", "InvalidParameterException", "a limit is exceeded")
        moment = int(self.now() * 1000)
        kept = [
            event
            for event in logEvents
            if moment - 14 * DAY <= event["timestamp"] <= moment + 2 * 3600 * 1000
        ]
        self.streams[logStreamName] += kept
        too_old = sum(time < moment - 14 * DAY for time in times)
        return {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": too_old}} if too_old else {}

    def filter_log_events(
        self,
        logGroupName: str,
        startTime: int,
        endTime: int,
        logStreamNames: list[str] | None = None,
        logStreamNamePrefix: str = "",
        nextToken: str = "0",
    ) -> Answer:
        if logGroupName not in self.groups:
            raise missing("FilterLogEvents")
        found = [
            {"logStreamName": name, **event}
            for name, events in self.streams.items()
            if (name in logStreamNames if logStreamNames else name.startswith(logStreamNamePrefix))
            for event in events
            if startTime <= event["timestamp"] <= endTime
        ]
        found.sort(key=lambda event: event["timestamp"])
        first = int(nextToken)
        more = {"nextToken": str(first + PAGE)} if first + PAGE < len(found) else {}
        return {"events": found[first : first + PAGE], **more}

    def get_log_events(
        self, logGroupName: str, logStreamName: str, startFromHead: bool, limit: int
    ) -> Answer:
        if logStreamName not in self.streams:
            raise missing("GetLogEvents")
        return {"events": self.streams[logStreamName][-limit:]}

    def put_metric_data(self, Namespace: str, MetricData: list[dict[str, Any]]) -> Answer:
        assert len(MetricData) <= 1000
        self.metrics += [{"Namespace": Namespace, **datum} for datum in MetricData]
        return {}


@dataclass
class TroubledCalls:
    """A layer that delays calls, and fails some before or after they are carried out."""

    inner: AwsCaller
    random: random.Random
    sleep: Callable[[float], Awaitable[None]]
    failing: float = 0.0
    """Part of the calls that fail."""
    slowest: float = 0.0
    """Seconds by which a call is delayed at most."""
    error: AwsError | None = None
    """The error of all calls. None: some fail as AWS does."""

    async def call(self, service: str, operation: str, /, **arguments: Any) -> Answer:
        if self.slowest:
            await self.sleep(self.random.uniform(0, self.slowest))
        if self.error:
            raise self.error
        draw = self.random.random()
        if draw < self.failing / 2:
            raise AwsThrottled(service, operation, 8, "Rate exceeded (ThrottlingException)")
        answer = await self.inner.call(service, operation, **arguments)
        if draw < self.failing:
            raise AwsUnreachable(service, "eu-west-1", "the connection was closed")
        return answer

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        return (await self.call(service, operation, **arguments))[key]


def missing(operation: str) -> AwsNotFound:
    return AwsNotFound("logs", operation, "ResourceNotFoundException", "it does not exist")
