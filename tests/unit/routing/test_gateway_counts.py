"""The counts of several gateways are added up, and do not fall when one of them ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.gateway_counts import GatewayCounts


class Gateway:
    """A server with the statistics of one Envoy, for one cluster."""

    def __init__(self, ok: int, failed: int = 0) -> None:
        self.counts = {"2xx": ok, "5xx": failed}
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Gateway]:
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        lines = "".join(
            f"cluster.iris/1.upstream_rq_{code}: {value}\n" for code, value in self.counts.items()
        )
        body = json.dumps({"stats": []}) if b"format=json" in asked else lines
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()


async def by_code(counts: GatewayCounts) -> dict[str, int]:
    return dict((await counts.read())["iris/1"].by_code)


async def test_gateways_are_added_up_and_one_that_ends_stays_counted() -> None:
    counts = GatewayCounts()
    async with Gateway(3, 1).serving() as first, Gateway(10).serving() as second:
        counts.exist({"a": first.address, "b": second.address})
        assert await by_code(counts) == {"2xx": 13, "5xx": 1}
        counts.exist({"b": second.address})
        second.counts["2xx"] = 12
        assert await by_code(counts) == {"2xx": 15, "5xx": 1}


async def test_one_that_starts_again_counts_on() -> None:
    counts = GatewayCounts()
    async with Gateway(3).serving() as gateway:
        counts.exist({"a": gateway.address})
        await counts.read()
        gateway.counts["2xx"] = 2
        assert (await by_code(counts))["2xx"] == 5


async def test_one_that_does_not_answer_counts_with_what_it_had() -> None:
    counts = GatewayCounts()
    async with Gateway(3).serving() as gateway:
        counts.exist({"a": gateway.address})
        await counts.read()
    assert (await by_code(counts))["2xx"] == 3


async def test_counts_are_unknown_before_any_gateway_has_answered() -> None:
    with pytest.raises(TrafficUnknown, match=r"No gateway has reported its counts yet\."):
        await GatewayCounts().read()


async def test_clusters_without_a_route_are_forgotten() -> None:
    counts = GatewayCounts()
    async with Gateway(3).serving() as gateway:
        counts.exist({"a": gateway.address})
        await counts.read()
        counts.exist({})
        counts.keep_only(frozenset())
        counts.exist({"b": gateway.address})
        assert (await by_code(counts))["2xx"] == 3
