"""The route that returns the output of an API's replicas, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

import orjson
from fastapi import APIRouter, Query, Response

from gyrus.aio.clock import Clock
from gyrus.aio.tasks import first_of
from gyrus.contract import problem
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.server.dependencies import ClosingDep, ContextDep, ViewsDep
from gyrus.server.problems import responses
from gyrus.server.stream import LiveResponse, Write

router = APIRouter()

BATCH = 500
"""Most lines that are sent in one chunk, and most lines that wait for a slow client."""

KEEP_ALIVE = 10.0
"""Seconds of silence after which an empty line is sent."""

END = b""
"""Marks the end, after the last line."""


@router.get(
    "/apis/{name}/logs",
    response_class=Response,
    responses=responses(problem.UNKNOWN_API, problem.BAD_REQUEST)
    | {200: {"description": "One LogLine a line, as JSON", "content": {"application/x-ndjson": {}}}},
)
async def read_logs(
    name: str,
    context: ContextDep,
    views: ViewsDep,
    closing: ClosingDep,
    replica: str | None = None,
    since: float | None = None,
    follow: bool = False,
    previous: bool = False,
    tail: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Return the replicas' output in time order. Ignore empty lines: they keep a quiet connection open."""
    await views.api(name)
    query = LogQuery(api=name, replica=replica, since=since, follow=follow, previous=previous, tail=tail)

    async def body(write: Write) -> None:
        await send_lines(context.logs.logs(query), write, context.clock)

    return LiveResponse(body, "application/x-ndjson", closing)


async def send_lines(lines: AsyncIterator[LogLine], write: Write, clock: Clock) -> None:
    """Read and write concurrently, so that all lines that are ready are sent as one chunk."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue(BATCH)
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(lines, waiting), name="read logs")
        group.create_task(_write(waiting, write, clock), name="write logs")


async def _read(lines: AsyncIterator[LogLine], waiting: asyncio.Queue[bytes]) -> None:
    """Queue each line as JSON, and END after the last."""
    async with _closing(lines):
        async for line in lines:
            await waiting.put(orjson.dumps(line) + b"\n")
    await waiting.put(END)


async def _write(waiting: asyncio.Queue[bytes], write: Write, clock: Clock) -> None:
    while first := await first_of(waiting.get(), _silence(clock)):
        batch = [first]
        while batch[-1] is not END and not waiting.empty():
            batch.append(waiting.get_nowait())
        await write(b"".join(batch))
        if batch[-1] is END:
            return


async def _silence(clock: Clock) -> bytes:
    await clock.sleep(KEEP_ALIVE)
    return b"\n"


@asynccontextmanager
async def _closing(lines: AsyncIterator[LogLine]) -> AsyncGenerator[None]:
    """Close a generator at the block's end, so that it releases its files at once even in the middle."""
    try:
        yield
    finally:
        if isinstance(lines, AsyncGenerator):
            await cast(AsyncGenerator[LogLine], lines).aclose()
