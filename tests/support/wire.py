"""The worker's HTTP server without sockets: a transport in memory, and a reader of what was written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from gyrus.contract.replica import Limits
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.connection import Connection
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.server import Server


class MemoryTransport(asyncio.Transport):
    """Keep what is written. It takes everything at once, unless it is set to be slow."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.unsent = 0
        self.reading = True
        self.closed = False
        self.aborted = False
        self.eof_written = False

    def write(self, data: Any) -> None:
        assert not self.closed, "written after the end"
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_written = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


@dataclass
class Wire:
    """A connection, its transport, and the exchanges that it has handed on."""

    serve: Callable[[Exchange], None] | None = None
    """None: exchanges wait in ``exchanges`` until the test answers them."""
    limits: Limits = field(default_factory=Limits)
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    tallied: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self.server = Server(self.limits, self._serve, lambda status, seconds: self.tallied.append(status))
        self.transport = MemoryTransport()
        self.connection = Connection(self.server)
        self.connection.connection_made(self.transport)

    def send(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.connection.data_received(chunk)

    def lose(self) -> None:
        self.connection.connection_lost(None)

    @property
    def text(self) -> str:
        return self.transport.written.decode("latin-1")

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in read_replies(bytes(self.transport.written))]

    def _serve(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        if self.serve is not None:
            self.serve(exchange)


def echo(exchange: Exchange) -> None:
    """Answers with the body that it got."""
    exchange.answer(Answer(200, "application/octet-stream", exchange.request.body))


@dataclass(frozen=True)
class Received:
    status: int
    headers: dict[str, str]
    body: bytes


class Malformed(AssertionError):
    pass


def read_replies(data: bytes, *, head: bool = False) -> list[Received]:
    """Strictly: raises Malformed for anything but whole answers, one after the other."""
    replies: list[Received] = []
    while data:
        reply, data = _read_reply(data, head=head)
        replies.append(reply)
    return replies


def _read_reply(data: bytes, *, head: bool) -> tuple[Received, bytes]:
    top, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        raise Malformed(f"no end of the header in {data!r}")
    start, *lines = top.decode("latin-1").split("\r\n")
    version, code, phrase = start.split(" ", 2)
    if version != "HTTP/1.1" or not phrase:
        raise Malformed(start)
    pairs = [line.split(": ", 1) for line in lines]
    headers = dict(cast("list[tuple[str, str]]", pairs))
    if len(headers) != len(lines) or any(name != name.lower() for name in headers):
        raise Malformed(f"strange headers {lines}")
    status = int(code)
    if head or status in (100, 204, 304):
        return Received(status, headers, b""), rest
    if "transfer-encoding" in headers:
        body, rest = _read_chunks(rest)
    else:
        length = int(headers["content-length"])
        if len(rest) < length:
            raise Malformed(f"{length} bytes promised, {len(rest)} sent")
        body, rest = rest[:length], rest[length:]
    return Received(status, headers, body), rest


def _read_chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, separator, data = data.partition(b"\r\n")
        if not separator:
            raise Malformed("the chunks have no end")
        length = int(size, 16)
        if data[length : length + 2] != b"\r\n":
            raise Malformed("a chunk has no end")
        body, data = body + data[:length], data[length + 2 :]
        if not length:
            return body, data
