"""A connection from the gateway: one request after another, each held until it is answered or passed on."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gyrus.gate.disconnects import DisconnectWatcher
from gyrus.gate.hold_limits import HeldBytes
from gyrus.gate.refusals import Refusal, answer
from gyrus.gate.request import HeldRequest

LINGER = 2.0
"""Seconds to wait for the rest of a request before its answer, and for the gateway to close a connection on
which data still arrives."""


class ConnectionOwner(Protocol):
    """The part that decides how each request is answered."""

    disconnects: DisconnectWatcher
    bodies: HeldBytes
    """Bytes of requests that all connections keep."""
    requeue_secret: str
    """The secret by which the gateway recognises the platform's own requeues."""

    def opened(self, connection: GatewayConnection) -> None: ...
    def arrived(self, connection: GatewayConnection) -> None:
        """Handle a request whose head has arrived."""
        ...

    def left(self, connection: GatewayConnection) -> None:
        """Handle the loss of a request: no client waits for its answer any more."""
        ...

    def closed(self, connection: GatewayConnection) -> None: ...


class GatewayConnection(asyncio.Protocol):
    """Reader of requests: it drops bodies, but keeps the whole request if it may have to pass it on."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        """Parser of requests; None once the connection is lost, which ends their reference cycle."""
        self._transport: asyncio.Transport | None = None
        self._watch: int | None = None
        self._over = False
        """True once incoming data is ignored."""
        self._last = False
        """True if the connection is to serve no further request."""
        self._onward: asyncio.Transport | None = None
        """Connection to the replica that serves the request, if it was passed on."""
        self._lingering: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        """Answer to send once the whole request has arrived."""
        self.request: HeldRequest | None = None
        """The request that has no answer yet."""

    # Callbacks of the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.opened(self)

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
        self._owner.closed(self)

    def pause_writing(self) -> None:
        if self._onward is not None:
            self._onward.pause_reading()

    def resume_writing(self) -> None:
        if self._onward is not None:
            self._onward.resume_reading()

    # Callbacks of the parser

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
            self._over = True  # the bytes that follow are of another protocol
        except HttpParserError:
            self.abort()
        if self.request is None:
            return
        if self._refusal is not None:
            self._answer_whole(self._refusal)
            return
        self._keep(self.request, data)
        if self.request.begun and not known:
            self._owner.arrived(self)

    def _keep(self, request: HeldRequest, data: bytes) -> None:
        if request.kept_by_gateway:
            self._drop(request)
        else:
            request.raw += data
            self._reserve(request, request.required)
        if request.enough(self._owner.bodies.growth(request.api) + request.reserved):
            self._wait_where_it_is()

    def _drop(self, request: HeldRequest) -> None:
        self._reserve(request, 0)
        request.raw = bytearray()

    def _reserve(self, request: HeldRequest, size: int) -> None:
        if size != request.reserved:
            self._owner.bodies.change(request.api, size - request.reserved)
            request.reserved = size

    def _wait_where_it_is(self) -> None:
        """Stop reading: the flow control of gateway and kernel then leaves the rest with the client."""
        assert self._transport is not None
        if self._watch is None:
            self._transport.pause_reading()
            # asyncio does not watch a paused transport, so a client that goes away would stay unnoticed.
            descriptor = self._transport.get_extra_info("socket").fileno()
            self._watch = self._owner.disconnects.watch(descriptor, self.abort)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._owner.disconnects.forget(self._watch)
            self._watch = None

    # Answers

    def answer(self, refusal: Refusal, *, last: bool = False) -> None:
        """End the request. The gateway may send another, unless this is the ``last``.

        If an answer arrives before the request is complete, the gateway closes the client's connection, and
        the client may lose the answer. This connection therefore reads and drops the rest for up to
        :data:`LINGER` seconds first.
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
        transport.write(
            answer(
                refusal,
                request.id,
                close=not again,
                bodiless=request.head_only,
                requeue_secret=self._owner.requeue_secret,
            )
        )
        if not again:
            # An immediate close would reset the connection while data arrives, and the answer could be lost.
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
        """Connection to the gateway; None once it is closed."""
        return self._transport

    def pass_on(self, onward: asyncio.Transport, *, private: bool = True) -> None:
        """Send the request to a replica: first the bytes that have arrived, then the rest, unread.

        ``private``: False to leave out the private headers.
        """
        request = self.request
        assert request is not None
        self.request = None
        self._onward = onward
        onward.write(request.onward(private=private))
        self._drop(request)
        self._read_on()

    def end(self) -> None:
        """Close the connection, after the answer if there is one."""
        if self._refusal is not None:
            self._write(self._refusal)
        if self._transport is not None and self._lingering is None and self._onward is None:
            self._transport.close()

    def abort(self) -> None:
        self._unwatch()  # before the abort: a closed descriptor's number may belong to another file
        if self._transport is not None:
            self._transport.abort()
        self._forget_request()

    def _forget_request(self) -> None:
        if self.request is not None:
            self._owner.left(self)
            self._drop(self.request)
            self.request = None
