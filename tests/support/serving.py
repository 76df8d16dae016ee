"""A handler behind the worker's real server, on a Unix socket, in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyrus.contract.replica import HandlerConfig, Limits, ReplicaConfig
from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.wiring import wire
from gyrus.runtime.handler.loading import make
from gyrus.runtime.handler.openapi import describe
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.readiness import Readiness
from gyrus.runtime.server.server import Server, bind_unix
from gyrus.runtime.service import Service
from gyrus.runtime.telemetry.metrics import Metrics
from support.wire import Received, read_replies

PATIENCE = 30.0
"""Seconds until a test gives up on something that should happen at once."""


async def eventually(true: Callable[[], object]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 -- no signal exists
            await asyncio.sleep(0.001)


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, body: bytes = b"", *headers: str, path: str = "/", method: str = "POST") -> None:
        lines = "".join(f"{header}\r\n" for header in ("Host: a", f"Content-Length: {len(body)}", *headers))
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    async def until(self, text: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(text)

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    def leave(self) -> None:
        self.writer.transport.abort()


@dataclass
class Serving:
    socket: str
    server: Server
    admission: Admission
    metrics: Metrics

    async def connect(self) -> Client:
        return Client(*await asyncio.open_unix_connection(self.socket))

    async def ask(
        self, payload: Any = None, *headers: str, path: str = "/", method: str = "POST"
    ) -> Received:
        client = await self.connect()
        body = b"" if payload is None else json.dumps(payload).encode()
        client.send(
            body, "Content-Type: application/json", "Connection: close", *headers, path=path, method=method
        )
        (reply,) = read_replies(await client.rest())
        client.leave()
        return reply

    def asking(self, payload: Any = None, *headers: str, path: str = "/") -> asyncio.Task[Received]:
        return asyncio.create_task(self.ask(payload, *headers, path=path), name="client")

    async def requeue(self, at_most: int) -> int:
        reply = await self.ask({"at_most": at_most}, "x-gyrus-internal: 1", path="/-/requeue")
        return json.loads(reply.body)["requeued"]


@asynccontextmanager
async def serving(
    handler: type[Any],
    folder: Path,
    *,
    limits: Limits | None = None,
    batch_max_size: int = 1,
    batch_max_wait: float | None = 0.0,
    config: dict[str, Any] | None = None,
    backlog_socket: str | None = None,
    proof: str = "",
) -> AsyncGenerator[Serving]:
    """At its end nothing may be left in the line."""
    settings = HandlerConfig(
        path="", config=config or {}, batch_max_size=batch_max_size, batch_max_wait=batch_max_wait
    )
    replica = ReplicaConfig(
        id="t",
        api="t",
        revision=1,
        project="",
        python="",
        handler=settings,
        limits=limits or Limits(),
        backlog_socket=backlog_socket,
    )
    made, counted = make(handler, settings), Metrics()
    admission, threads = wire(made, replica, counted)
    service = Service(
        admission,
        Readiness(admission, threads),
        counted,
        describe=lambda: describe(made, "t", 1),
        answers_get=made.answers_get,
        private_calls=PrivateCalls(proof.encode()),
    )
    server = Server(replica.limits, service, counted.tally)
    path = str(folder / "s")
    listening = await server.listen(bind_unix(path))
    time = asyncio.create_task(server.keep_time(), name="time")
    try:
        yield Serving(path, server, admission, counted)
        await eventually(lambda: admission.queue.empty)
    finally:
        time.cancel()
        listening.close()
        for connection in tuple(server.connections):
            connection.abort()
        threads.stop()


def detail(reply: Received) -> str:
    return json.loads(reply.body)["detail"]
