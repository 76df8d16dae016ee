"""The shipper, in virtual time, before a service that keeps CloudWatch's limits."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.cluster.aws.cloudwatch.backlog import MOST_BYTES, EventBacklog
from gyrus.cluster.aws.cloudwatch.shipper import LogShipper
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.cluster.aws.errors import AwsDenied, AwsError, AwsRejected, AwsThrottled
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, LogBatch
from support.aws.logs_service import MemoryLogs, TroubledCalls

TARGET = CloudWatchTarget.of("models", "eu-west-1")
REPLICA = "iris-1-abcde"
STREAM = f"apis/iris/{REPLICA}"


@dataclass
class Setting:
    clock: VirtualClock
    service: MemoryLogs
    trouble: TroubledCalls
    shipper: LogShipper

    def offer(self, number: int, *messages: str, replica: str = REPLICA) -> None:
        now = self.clock.now().timestamp()
        lines = tuple(LogLine(time=now, replica=replica, message=message) for message in messages)
        self.shipper.offer(LogBatch(api="iris", replica=replica, number=number, lines=lines))

    async def read(self, tail: int | None = None) -> list[str]:
        query = LogQuery(api="iris", since=0.0, tail=tail)
        async with aclosing(self.shipper.read(query, float("inf"))) as lines:
            return [line.message async for line in lines]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[asyncio.Task[None]]:
        task = asyncio.create_task(self.shipper.run(), name="shipper")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


def setting(
    *, failing: float = 0.0, slowest: float = 0.0, error: AwsError | None = None, most: int = MOST_BYTES
) -> Setting:
    clock = VirtualClock()
    service = MemoryLogs(now=lambda: clock.now().timestamp())
    trouble = TroubledCalls(service, random.Random(7), clock.sleep, failing, slowest, error)
    shipper = LogShipper(trouble, TARGET, clock, lambda api, replica: 1, EventBacklog(most))
    return Setting(clock, service, trouble, shipper)


async def test_lines_arrive_in_a_new_stream_of_a_new_group() -> None:
    world = setting()
    async with world.running():
        world.offer(1, "one", "two")
        await world.clock.advance(3)
    assert [len(events) for events in world.service.streams.values()] == [2]
    assert list(world.service.streams) == [STREAM]
    assert world.service.retention == {"/gyrus/models": 30}
    assert world.shipper.counts.lines == 2
    assert await world.read() == ["one", "two"]


async def test_lines_of_two_seconds_are_one_call() -> None:
    world = setting()
    world.service.create_log_group("/gyrus/models")
    world.service.create_log_stream("/gyrus/models", STREAM)
    async with world.running():
        for number in range(20):
            world.offer(number, "line")
            await world.clock.advance(0.1)
        await world.clock.advance(3)
    assert world.service.calls["put_log_events"] == 1
    assert world.shipper.counts.lines == 20


async def test_a_batch_that_is_offered_again_is_left_out() -> None:
    world = setting()
    async with world.running():
        world.offer(1, "one")
        world.offer(1, "one")
        await world.clock.advance(3)
    assert await world.read() == ["one"]


async def test_every_line_arrives_once_though_calls_fail_and_answers_are_lost() -> None:
    world = setting(failing=0.6, slowest=5.0)
    expected = [f"line {number}" for number in range(60)]
    async with world.running():
        for number, message in enumerate(expected):
            world.offer(number, message, replica=f"iris-1-{number % 3}")
            await world.clock.advance(0.5)
        await world.clock.advance(3600)
        assert world.shipper.counts.failures > 10
        assert world.shipper.counts.dropped == 0
        assert sorted(await readable(world)) == sorted(expected)


async def test_the_oldest_lines_are_dropped_counted_and_reported_while_nothing_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = setting(error=AwsThrottled("logs", "PutLogEvents", 8, "Rate exceeded"), most=30_000)
    with caplog.at_level(logging.INFO):
        async with world.running():
            world.offer(0, "first")
            await world.clock.advance(3)
            for number in range(1, 101):
                world.offer(number, f"line {number}")
            assert world.shipper.counts.dropped > 0
            dropped = world.shipper.counts.dropped
            assert world.shipper.counts.waiting <= 30_000
            await world.clock.advance(120)
            world.trouble.error = None
            await world.clock.advance(120)
    found = await world.read()
    assert found[0] == "first"
    assert found[1] == f"{dropped} lines are missing here: CloudWatch was slower than the log"
    assert found[2:] == [f"line {number}" for number in range(1 + dropped, 101)]
    texts = [record.getMessage() for record in caplog.records]
    assert texts.count(f"CloudWatch did not get {dropped} lines of the log: {dropped} of {STREAM}") == 1
    assert texts.count("CloudWatch takes lines again.") == 1
    assert sum(text.startswith("CloudWatch takes no lines of the log: logs did not") for text in texts) == 1


async def test_a_refused_batch_is_counted_and_does_not_stop_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = setting(error=AwsRejected("logs", "PutLogEvents", "InvalidParameterException", "bad"))
    async with world.running():
        world.offer(1, "one", "two")
        await world.clock.advance(3)
        world.trouble.error = None
        world.offer(2, "three")
        await world.clock.advance(3)
    assert world.shipper.counts.dropped == 2
    assert await world.read() == ["three"]
    expected = (
        f"CloudWatch refuses 2 lines of {STREAM}: logs refuses PutLogEvents: bad (InvalidParameterException)"
    )
    assert expected in caplog.messages


async def test_a_missing_right_is_named_and_lines_wait(caplog: pytest.LogCaptureFixture) -> None:
    world = setting(error=AwsDenied("logs:PutLogEvents", "not authorized"))
    async with world.running():
        world.offer(1, "one")
        await world.clock.advance(60)
        world.trouble.error = None
        await world.clock.advance(60)
    assert await world.read() == ["one"]
    assert (
        "CloudWatch takes no lines of the log: The credentials lack the right logs:PutLogEvents: "
        "not authorized. The newest ones wait in memory." in caplog.messages
    )


async def test_what_waits_is_sent_at_the_end() -> None:
    world = setting()
    async with world.running():
        await world.clock.settle()
        world.offer(1, "one")
        await world.clock.settle()
    assert await world.read() == ["one"]


async def test_the_end_is_not_delayed_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gyrus.cluster.aws.cloudwatch.shipper.FLUSH", 0.05)
    world = setting(slowest=1000.0)  # virtual seconds, which do not pass
    async with world.running() as task:
        world.offer(1, "one")
        await world.clock.settle()
        task.cancel()
        await asyncio.wait_for(asyncio.wait([task]), 5)
        assert task.cancelled()
    assert "1 lines of the log have not reached CloudWatch before the operator's end" in caplog.messages
    assert world.shipper.counts.dropped == 1


async def readable(world: Setting) -> list[str]:
    """Read again after each call that fails."""
    for _ in range(200):
        reading = asyncio.create_task(world.read())
        while not reading.done():
            await world.clock.advance(10)
        try:
            return reading.result()
        except ArchiveError:
            continue
    raise AssertionError("it cannot be read")
