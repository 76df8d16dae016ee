"""The lines of the operator and of gateways, on their way to CloudWatch."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
from datetime import UTC, datetime

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.cluster.aws.cloudwatch.gateway_lines import GatewayLines
from gyrus.cluster.aws.cloudwatch.operator_lines import ship_operator_lines
from gyrus.cluster.aws.cloudwatch.shipper import LogShipper
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.cluster.aws.errors import AwsDenied
from gyrus.contract.operator import LogLine
from gyrus.log_archive.archive import ArchiveError, LogBatch
from support.aws.logs_service import MemoryLogs, TroubledCalls

TARGET = CloudWatchTarget.of("models", "eu-west-1")


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock(datetime.now(UTC))
        self.service = MemoryLogs(now=lambda: self.clock.now().timestamp())
        self.shipper = LogShipper(self.service, TARGET, self.clock, lambda api, replica: 0)

    async def sent(self) -> dict[str, list[dict[str, object]]]:
        task = asyncio.create_task(self.shipper.run())
        await self.clock.advance(3)
        task.cancel()
        await asyncio.wait([task])
        streams = self.service.streams.items()
        return {name: [json.loads(event["message"]) for event in events] for name, events in streams}


async def test_what_any_thread_of_the_operator_logs_is_sent() -> None:
    world = World()
    log = logging.getLogger("gyrus.test")
    body = ship_operator_lines(world.shipper, "gyrus-operator-a", lambda handler: handler)
    task = asyncio.create_task(body)
    await asyncio.sleep(0)
    thread = threading.Thread(target=lambda: log.error("it %s", "fails", exc_info=ValueError("no")))
    thread.start()
    thread.join()
    task.cancel()
    await asyncio.wait([task])
    log.error("not sent")
    [line] = (await world.sent())["operator/gyrus-operator-a"]
    assert line["message"] == "gyrus.test: it fails\nValueError: no"
    assert (line["level"], line["stream"], line["replica"]) == ("error", "gyrus", "gyrus-operator-a")


async def test_of_the_access_log_only_errors_of_the_server_are_sent() -> None:
    world = World()
    gateways = GatewayLines(world.service, TARGET, world.shipper)
    now = world.clock.now().timestamp()
    lines = tuple(
        LogLine(time=now, replica="gateway-a", message=message)
        for message in ('{"code": 200}', '{"code": 503}', "[warning] text", '{"other": 1}')
    )
    await gateways.add(LogBatch(api="", replica="gateway-a", number=7, lines=lines))
    sent = (await world.sent())["gateways/gateway-a"]
    assert [line["message"] for line in sent] == [{"code": 503}, "[warning] text", {"other": 1}]
    assert await gateways.last_batch("", "gateway-a", "gateway") == 7
    assert await gateways.last_batch("", "gateway-b", "gateway") is None


async def test_the_place_to_go_on_from_is_asked_for_again_if_it_cannot_be_read() -> None:
    world = World()
    calls = TroubledCalls(world.service, random.Random(1), world.clock.sleep, error=AwsDenied("a:B", "no"))
    with pytest.raises(ArchiveError, match=r"The credentials lack the right a:B: no"):
        await GatewayLines(calls, TARGET, world.shipper).last_batch("", "gateway-a", "gateway")
