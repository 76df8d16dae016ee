"""A connection from the gateway: one request after the other, each held until something becomes of it."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gyrus.gate.disconnects import DisconnectWatcher
from gyrus.gate.refusals import Refusal, answer
from gyrus.gate.request import HeldRequest

MOST_KEPT = 64 * 1024 * 1024
"""Bytes of all requests together, beyond the little that is kept of each."""
LINGER = 2.0
"""Seconds that the rest of a request may take to come before it is answered, and that the gateway may take to
close a connection on which something still comes."""


class ConnectionOwner(Protocol):
    """Whoever decides what becomes of requests."""

    disconnects: DisconnectWatcher
    kept: int
    """Bytes that connections keep of requests."""

    def opened(self, connection: GatewayConnection) -> None: ...
    def arrived(self, connection: GatewayConnection) -> None:
        """Its request's head is here."""
        ...

    def left(self, connection: GatewayConnection) -> None:
        """Nobody waits for its request's answer any more."""
        ...

    def closed(self, connection: GatewayConnection) -> None: ...


class GatewayConnection(asyncio.Protocol):
    """Reads heads, drops bodies, and keeps what may have to be passed on."""

    def __init__(self, keeper: ConnectionOwner) -> None:
        self._keeper = keeper
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        """None: the connection is lost. It refers to this in its turn."""
        self._transport: asyncio.Transport | None = None
        self._watch: int | None = None
        self._over = False
        """Nothing that comes is looked at any more."""
        self._last = False
        """No other request is wanted."""
        self._onward: asyncio.Transport | None = None
        """To the replica that the request is passed on to."""
        self._lingering: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        """What is answered once the request has come to its end."""
        self.request: HeldRequest | None = None
        """The one that is not answered yet."""

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._keeper.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._onward is not None:
            self._onward.write(data)
        elif not self._over:
            self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._stop_lingering()
        if self._onward is not None:
            self._onward.close()
        self._forget_request()
        self._transport = self._onward = self._parser = None
        self._keeper.closed(self)

    def pause_writing(self) -> None:
        if self._onward is not None:
            self._onward.pause_reading()

    def resume_writing(self) -> None:
        if self._onward is not None:
            self._onward.resume_reading()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.request is not None:  # the gateway waits for each answer before it sends the next request
            self.abort()
        self.request = HeldRequest()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.request is not None:
            self.request.note(name, value)

    def on_headers_complete(self) -> None:
        if self.request is not None and self._parser is not None:
            self.request.begun = True
            self.request.head_only = self._parser.get_method() == b"HEAD"

    def on_message_complete(self) -> None:
        if self.request is not None:
            self.request.complete = True

    # Reading

    def _read(self, data: bytes) -> None:
        if self._parser is None:
            return
        known = self.request is not None and self.request.begun
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._over = True  # what follows is of another protocol, and not for us
        except HttpParserError:
            self.abort()
        if self.request is None:
            return
        if self._refusal is not None:
            self._answer_whole(self._refusal)
            return
        self._keep(self.request, data)
        if self.request.begun and not known:
            self._keeper.arrived(self)

    def _keep(self, request: HeldRequest, data: bytes) -> None:
        if request.kept_by_gateway:
            self._drop(request)
        else:
            request.raw += data
            self._keeper.kept += len(data)
        if request.enough(MOST_KEPT - self._keeper.kept + len(request.raw)):
            self._wait_where_it_is()

    def _drop(self, request: HeldRequest) -> None:
        self._keeper.kept -= len(request.raw)
        request.raw = bytearray()

    def _wait_where_it_is(self) -> None:
        """What has not been read stays with the client, by the gateway's and the kernel's flow control."""
        assert self._transport is not None
        if self._watch is None:
            self._transport.pause_reading()
            descriptor = self._transport.get_extra_info("socket").fileno()
            self._watch = self._keeper.disconnects.watch(descriptor, self.abort)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._keeper.disconnects.forget(self._watch)
            self._watch = None

    # What becomes of it

    def answer(self, refusal: Refusal, *, last: bool = False) -> None:
        """End the request. The gateway may send another, unless this is the ``last``.

        The gateway ends the client's connection where an answer comes before the request is complete, and the
        answer may be lost by that. So what still comes is awaited and dropped, for a while.
        """
        request = self.request
        if request is None:
            return
        self._drop(request)
        self._last |= last
        if request.complete or refusal.requeue:
            self._write(refusal)
        elif self._refusal is None:
            self._refusal = refusal
            self._read_on()
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._write, refusal)

    def _answer_whole(self, refusal: Refusal) -> None:
        if self.request is not None and self.request.complete:
            self._write(refusal)

    def _write(self, refusal: Refusal) -> None:
        request, transport = self.request, self._transport
        self._stop_lingering()
        self.request = self._refusal = None
        if request is None or transport is None:
            return
        again = request.complete and not self._over and not self._last
        transport.write(answer(refusal, request.id, close=not again, bodiless=request.head_only))
        if not again:
            self._over = True
            self._read_on()
            self._lingering = asyncio.get_running_loop().call_later(LINGER, transport.abort)

    def _read_on(self) -> None:
        if self._watch is not None and self._transport is not None:
            self._unwatch()
            self._transport.resume_reading()

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the gateway has closed it."""
        return self._transport

    def pass_on(self, onward: asyncio.Transport) -> None:
        """Send the request to a replica, what has come of it and what still comes, unread."""
        request = self.request
        assert request is not None
        self.request = None
        self._onward = onward
        onward.write(request.onward())
        self._drop(request)
        self._read_on()

    def end(self) -> None:
        """Once the answer has been taken, if there is one."""
        if self._refusal is not None:
            self._write(self._refusal)
        if self._transport is not None and self._lingering is None and self._onward is None:
            self._transport.close()

    def abort(self) -> None:
        self._unwatch()  # now: once it has ended, its number may be another's
        if self._transport is not None:
            self._transport.abort()
        self._forget_request()

    def _forget_request(self) -> None:
        if self.request is not None:
            self._keeper.left(self)
            self._drop(self.request)
            self.request = None
