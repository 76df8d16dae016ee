"""One HTTP/1.1 connection with at most one request in flight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import h11

KEPT = 4096
"""Bytes of an answer to keep; the rest is counted and dropped."""


class ConnectionBroken(Exception):
    """No complete answer: the connection was lost, or the answer is not HTTP. The text states which."""


@dataclass(frozen=True, slots=True)
class LoadReply:
    status: int
    media_type: str
    beginning: bytes
    """At most ``KEPT`` bytes of the body."""
    length: int


class LoadConnection(asyncio.Protocol):
    """A connection that an event loop creates. ``reusable`` is True if it may carry another request."""

    def __init__(self) -> None:
        self.reusable = True
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[LoadReply] | None = None
        self._head: h11.Response | None = None
        self._beginning = bytearray()
        self._length = 0

    async def exchange(self, request: h11.Request, body: bytes) -> LoadReply:
        """Send a request and return its answer. Raises ConnectionBroken.

        If it is cancelled, the caller must close the connection.
        """
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._begin()
        parts = (
            self._http.send(request),
            self._http.send(h11.Data(data=body)),
            self._http.send(h11.EndOfMessage()),
        )
        self._transport.write(b"".join(part for part in parts if part))
        return await self._answer

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if exc is None:
            self._receive(b"")  # the end of the connection may be the end of the answer
        self._fail(str(exc or "the connection was closed before the answer was complete"))

    def _begin(self) -> None:
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        self._head = None
        self._beginning.clear()
        self._length = 0

    def _receive(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while self._take(self._http.next_event()):
                pass
        except h11.ProtocolError as fault:
            self._fail(f"the answer is not HTTP: {fault}")
            self.close()

    def _take(self, event: object) -> bool:
        """Process an event. Returns whether there may be another."""
        if isinstance(event, h11.Data):
            self._length += len(event.data)
            self._beginning += event.data[: KEPT - len(self._beginning)]
        elif isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.EndOfMessage):
            self._complete()
            return False
        return isinstance(event, h11.Event) and not isinstance(event, h11.ConnectionClosed)

    def _complete(self) -> None:
        self.reusable = self.reusable and self._http.their_state is self._http.our_state is h11.DONE
        if self._answer is not None and not self._answer.done() and self._head is not None:
            media_type = next((v for k, v in self._head.headers if k == b"content-type"), b"")
            reply = LoadReply(
                self._head.status_code, media_type.decode("latin-1"), bytes(self._beginning), self._length
            )
            self._answer.set_result(reply)

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionBroken(reason))
