"""The statistics of several gateways are added up, and counts do not fall when one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.routing import gateway_statistics
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.gateway_statistics import GatewayStatistics
from support.upstreams import until


class Gateway:
    """A server with the statistics of one Envoy, for one cluster."""

    def __init__(self, ok: int, failed: int = 0, *, waiting: int = 0) -> None:
        self.counts = {"2xx": ok, "5xx": failed}
        self.waiting = waiting
        self.asked = 0
        """Number of requests for statistics."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Gateway]:
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.may_answer.wait()
        numbers = {"pending_active": self.waiting} if b"pending_active" in asked else self.counts
        lines = "".join(f"cluster.iris/1.upstream_rq_{name}: {value}\n" for name, value in numbers.items())
        body = json.dumps({"stats": []}) if b"format=json" in asked else lines
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()


@pytest_asyncio.fixture
async def statistics(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[GatewayStatistics]:
    monkeypatch.setattr(gateway_statistics, "EVERY", 0.01)
    monkeypatch.setattr(gateway_statistics, "ANSWERED_EVERY", 0.02)
    made = GatewayStatistics(SystemClock())
    running = asyncio.create_task(made.run(), name="statistics")
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def by_code(statistics: GatewayStatistics) -> dict[str, int]:
    try:
        return dict(statistics.answered()["iris/1"].by_code)
    except TrafficUnknown:
        return {}


async def test_gateways_are_added_up_and_one_that_ends_stays_counted(statistics: GatewayStatistics) -> None:
    async with Gateway(3, 1).serving() as first, Gateway(10).serving() as second:
        statistics.set_gateways({"a": first.address, "b": second.address})
        await until(lambda: by_code(statistics) == {"2xx": 13, "5xx": 1})
        statistics.set_gateways({"b": second.address})
        second.counts["2xx"] = 12
        await until(lambda: by_code(statistics) == {"2xx": 15, "5xx": 1})


async def test_one_that_starts_again_counts_on(statistics: GatewayStatistics) -> None:
    async with Gateway(3).serving() as gateway:
        statistics.set_gateways({"a": gateway.address})
        await until(lambda: by_code(statistics) == {"2xx": 3, "5xx": 0})
        gateway.counts["2xx"] = 2
        await until(lambda: by_code(statistics) == {"2xx": 5, "5xx": 0})


async def test_requests_that_wait_for_a_connection_are_added_up(statistics: GatewayStatistics) -> None:
    async with Gateway(0, waiting=2).serving() as first, Gateway(0, waiting=5).serving() as second:
        statistics.set_gateways({"a": first.address, "b": second.address})
        await until(lambda: statistics.waiting() == {"iris/1": 7})
        statistics.set_gateways({"b": second.address})
        assert statistics.waiting() == {"iris/1": 5}, "those of a gateway that has ended wait no more"


async def test_one_that_does_not_answer_delays_no_other_and_counts_with_what_it_had(
    statistics: GatewayStatistics,
) -> None:
    async with Gateway(3, waiting=1).serving() as first, Gateway(10, waiting=1).serving() as second:
        statistics.set_gateways({"a": first.address, "b": second.address})
        await until(lambda: by_code(statistics) == {"2xx": 13, "5xx": 0})
        first.may_answer.clear()
        second.counts["2xx"], second.waiting = 12, 4
        await until(lambda: by_code(statistics) == {"2xx": 15, "5xx": 0})
        await until(lambda: statistics.waiting() == {"iris/1": 5})
        statistics.forget_waiting("a")
        assert statistics.waiting() == {"iris/1": 4}
        first.may_answer.set()


async def test_counts_are_unknown_until_each_gateway_was_read(statistics: GatewayStatistics) -> None:
    """The counts of a gateway that is read later would look like new requests."""
    with pytest.raises(TrafficUnknown, match=r"Not all gateways have reported their counts yet\."):
        statistics.answered()
    async with Gateway(3).serving() as first, Gateway(10).serving() as second:
        second.may_answer.clear()
        statistics.set_gateways({"a": first.address, "b": second.address})
        await until(lambda: bool(first.asked))
        assert by_code(statistics) == {}
        second.may_answer.set()
        await until(lambda: by_code(statistics) == {"2xx": 13, "5xx": 0})


async def test_one_that_ends_before_it_is_read_is_left_out(statistics: GatewayStatistics) -> None:
    async with Gateway(3).serving() as gateway:
        for _ in range(20):
            statistics.set_gateways({"a": gateway.address})
            await asyncio.sleep(0)
            statistics.set_gateways({})
            await asyncio.sleep(0)
        statistics.set_gateways({"a": gateway.address})
        await until(lambda: by_code(statistics).get("2xx", 0) >= 3)


async def test_what_waited_is_unknown_when_a_gateway_does_not_answer(statistics: GatewayStatistics) -> None:
    async with Gateway(3, waiting=4).serving() as gateway:
        statistics.set_gateways({"a": gateway.address})
        await until(lambda: statistics.waiting() == {"iris/1": 4})
        await until(lambda: by_code(statistics) == {"2xx": 3, "5xx": 0})
    await until(lambda: statistics.waiting() == {})
    assert by_code(statistics) == {"2xx": 3, "5xx": 0}


async def test_clusters_without_a_route_are_forgotten(statistics: GatewayStatistics) -> None:
    async with Gateway(3).serving() as gateway:
        statistics.set_gateways({"a": gateway.address})
        await until(lambda: by_code(statistics) == {"2xx": 3, "5xx": 0})
        statistics.set_gateways({})
        assert by_code(statistics) == {"2xx": 3, "5xx": 0}
        statistics.keep_only(frozenset())
        statistics.set_gateways({"b": gateway.address})
        await until(lambda: by_code(statistics) == {"2xx": 3, "5xx": 0})
