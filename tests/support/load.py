"""Constant load: so many requests a second, whether or not the earlier ones have been answered.

    async with Load("http://127.0.0.1:8080/iris", rate=200, body=b"{}") as load:
        ...  # change things
    assert load.result.failed == ()

Each request is made once, on a keep-alive connection that is free at that moment or on a new one. Nothing is
retried: what the client of a careless user would see is what is recorded.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request. Times in seconds."""

    due: float
    """When it was to be sent, since the load began."""
    latency: float
    """From when it was to be sent: a client that comes late with it does not make the server look better."""
    status: int | None = None
    """The status. None: no answer; ``error`` has the reason."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names in lower case."""
    body: bytes = b""
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Result:
    """All answers, in the order in which they came."""

    answers: tuple[Answer, ...]
    seconds: float
    """From the first request to the last answer."""

    @property
    def failed(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.answers if not answer.ok)

    @property
    def statuses(self) -> Counter[int | None]:
        return Counter(answer.status for answer in self.answers)

    @property
    def bodies(self) -> Counter[bytes]:
        """Of the good answers."""
        return Counter(answer.body for answer in self.answers if answer.ok)

    def latency(self, percentile: float) -> float:
        """Of the good answers; NaN where there is none."""
        latencies = sorted(answer.latency for answer in self.answers if answer.ok)
        if not latencies:
            return math.nan
        return latencies[min(len(latencies) - 1, int(len(latencies) * percentile / 100))]

    def __str__(self) -> str:
        failures = Counter(answer.error or f"status {answer.status}" for answer in self.failed)
        return (
            f"{len(self.answers)} requests in {self.seconds:.1f} s, {len(self.failed)} failed"
            f"{' ' + str(dict(failures)) if failures else ''}, latency p50 {self.latency(50) * 1000:.1f} ms, "
            f"p99 {self.latency(99) * 1000:.1f} ms, most {self.latency(100) * 1000:.1f} ms"
        )


class ConnectionLost(Exception):
    """The server closed the connection before the answer was complete."""


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self) -> None:
        self.reusable = True
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer. Raises ConnectionLost."""
        assert self._transport is not None
        self._begin()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answer
        return self._parser.get_status_code(), self._headers, bytes(self._body)

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionLost(f"the answer is not HTTP: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail(ConnectionLost(str(exc or "closed before the answer was complete")))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.reusable = self.reusable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Load:
    """Sends ``rate`` requests a second from its entry to its exit, then waits for the answers still due."""

    def __init__(
        self,
        url: str,
        rate: float,
        *,
        method: str = "POST",
        body: bytes = b"{}",
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._address = parts.hostname, parts.port or 80
        self._tls = tls
        self._rate = rate
        self._timeout = timeout
        self._request = _request(method, parts.netloc, parts.path or "/", parts.query, body, headers or {})
        self._idle: list[Connection] = []
        self._answers: list[Answer] = []
        self._stopping = False

    @property
    def result(self) -> Result:
        """Of what has been answered so far."""
        seconds = max((answer.due + answer.latency for answer in self._answers), default=0.0)
        return Result(tuple(self._answers), seconds)

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._send_all(), name="load")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            for connection in self._idle:
                connection.close()

    async def _send_all(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for number in count():
            due = number / self._rate
            await asyncio.sleep(max(0.0, began + due - clock()))
            if self._stopping:
                return
            self._tasks.create_task(self._send(due, began), name=f"request {number}")

    async def _send(self, due: float, began: float) -> None:
        status, headers, body, error = None, {}, b"", ""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connect()
                status, headers, body = await connection.exchange(self._request)
        except (TimeoutError, OSError, ConnectionLost) as reason:
            error = f"{type(reason).__name__}: {reason}"
        finally:
            self._release(connection, complete=status is not None)
        latency = asyncio.get_running_loop().time() - began - due
        self._answers.append(
            Answer(due=due, latency=latency, status=status, headers=headers, body=body, error=error)
        )

    async def _connect(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, *self._address, ssl=self._tls
        )
        return connection

    def _release(self, connection: Connection | None, *, complete: bool) -> None:
        if connection is None:
            return
        if complete and connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()


def _request(method: str, host: str, path: str, query: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    target = f"{path}?{query}" if query else path
    fields = {"host": host, "content-type": "application/json", **headers}
    if method not in ("GET", "HEAD"):
        fields["content-length"] = str(len(body))
    else:
        body = b""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
