from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gyrus.aio.virtual import VirtualClock
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.server.app import closing
from gyrus.server.logs import BATCH, KEEP_ALIVE, send_lines
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.sql.store import SqlStore
from support.output import Output

Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture(autouse=True)
async def iris(store: SqlStore) -> None:
    spec = RealtimeSpec.model_validate({"name": "iris", "process": {"command": ["serve"]}})
    await store.deploy([spec], None, datetime(2030, 1, 1, tzinfo=UTC))


def messages(text: str) -> list[str]:
    return [json.loads(line)["message"] for line in text.splitlines() if line]


async def test_what_was_printed(client: httpx.AsyncClient, output: Output) -> None:
    output.print("one", "two\nlines", "é")
    response = await client.get("/apis/iris/logs")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert messages(response.text) == ["one", "two\nlines", "é"]
    assert LogLine(**json.loads(response.text.splitlines()[0])) == output.lines[0]
    assert output.queries == [LogQuery(api="iris")]


async def test_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/apis/iris/logs")).content == b""


async def test_the_query(client: httpx.AsyncClient, output: Output) -> None:
    asked = {"replica": "iris-1-a", "since": "12.5", "follow": "false", "previous": "true", "tail": "7"}
    await client.get("/apis/iris/logs", params=asked)
    assert output.queries == [LogQuery(api="iris", replica="iris-1-a", since=12.5, previous=True, tail=7)]


@pytest.mark.parametrize("query", ["tail=-1", "tail=x", "since=yesterday", "follow=perhaps"])
async def test_a_query_that_cannot_be_read(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"/apis/iris/logs?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["detail"]


async def test_following(remote: httpx.AsyncClient, output: Output, eventually: Eventually) -> None:
    output.print("before")
    async with remote.stream("GET", "/apis/iris/logs", params={"follow": "true"}) as response:
        lines = response.aiter_lines()
        assert messages(await anext(lines)) == ["before"]
        output.print("after")
        assert messages(await anext(lines)) == ["after"]
        assert output.followers == 1
    await eventually(lambda: output.followers == 0)


async def test_following_ends_with_the_server(
    remote: httpx.AsyncClient, output: Output, app: FastAPI
) -> None:
    output.print("before")
    async with remote.stream("GET", "/apis/iris/logs", params={"follow": "true"}) as response:
        lines = response.aiter_lines()
        await anext(lines)
        closing(app).set()
        assert [line async for line in lines] == []
    assert output.followers == 0


async def test_many_lines_go_out_in_few_chunks(remote: httpx.AsyncClient, output: Output) -> None:
    output.print(*map(str, range(20_000)))
    response = await remote.get("/apis/iris/logs")
    assert messages(response.text) == list(map(str, range(20_000)))


class TestSending:
    """To a client of the test's own."""

    async def test_what_is_there_already_is_one_chunk(self) -> None:
        chunks: list[bytes] = []

        async def write(chunk: bytes) -> None:
            chunks.append(chunk)

        await send_lines(_lines(3 * BATCH), write, VirtualClock())
        assert b"".join(chunks).count(b"\n") == 3 * BATCH
        assert len(chunks) <= 6

    async def test_a_slow_client_holds_the_reading_back(self) -> None:
        taken: list[int] = []

        async def write(chunk: bytes) -> None:
            await asyncio.Event().wait()

        async def lines() -> AsyncIterator[LogLine]:
            async for line in _lines(100 * BATCH):
                taken.append(1)
                yield line

        sending = asyncio.create_task(send_lines(lines(), write, VirtualClock()))
        await VirtualClock().settle()
        assert BATCH <= len(taken) <= 3 * BATCH
        sending.cancel()
        await asyncio.wait([sending])

    async def test_silence_is_broken_by_an_empty_line(self) -> None:
        clock, chunks = VirtualClock(), list[bytes]()

        async def write(chunk: bytes) -> None:
            chunks.append(chunk)

        output = Output()
        sending = asyncio.create_task(
            send_lines(output.logs(LogQuery(api="iris", follow=True)), write, clock)
        )
        await clock.advance(KEEP_ALIVE - 1)
        assert chunks == []
        await clock.advance(2)
        assert chunks == [b"\n"]
        output.print("hello")
        await clock.settle()
        assert messages(chunks[-1].decode()) == ["hello"]
        sending.cancel()
        await asyncio.wait([sending])
        assert output.followers == 0

    async def test_a_failing_reader_ends_it(self) -> None:
        async def lines() -> AsyncIterator[LogLine]:
            yield LogLine(time=1, replica="r", message="m")
            raise OSError("the file is gone")

        async def write(chunk: bytes) -> None: ...

        with pytest.raises(ExceptionGroup):
            await send_lines(lines(), write, VirtualClock())


async def _lines(number: int) -> AsyncIterator[Any]:
    for n in range(number):
        yield LogLine(time=float(n), replica="r", message="m")
