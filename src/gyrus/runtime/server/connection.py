"""One client's connection: requests are answered in order, one at a time.

While one request is being answered, the next is already read, so that a disconnect of the client is noticed
at once. When the next one is complete, reading pauses until it is served. The connection does not notice a
disconnect during that pause.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, cast

from gyrus.contract.problem import BODY_TIMEOUT
from gyrus.runtime.server.bodies import LEAST_READING_PACE, READING_GRACE, is_too_slow
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.problems import RequestRefused, too_slow
from gyrus.runtime.server.reader import Reader
from gyrus.runtime.server.request import Request

if TYPE_CHECKING:
    from gyrus.runtime.server.server import Server

LINGER = 2.0
"""Seconds for which further bytes of a refused client are read and dropped.

Closing at once could destroy the answer before the client reads it (RFC 9112, section 9.6).
"""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """The server's end of a client's connection."""

    __slots__ = (
        "_advancing", "_current", "_discarding", "_paused", "_reader", "_refusal", "_since", "_stalled",
        "_timed", "_transport", "_written", "choked", "server",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self.server = server
        self.choked = False
        """True while the client does not take the bytes that were written."""
        self._reader = Reader(server.limits, server.bodies)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)  # until connection_made
        self._current: Exchange | None = None
        self._refusal: RequestRefused | None = None  # answered after all complete requests before it
        self._advancing = False
        self._paused = False
        self._discarding = False
        self._since = monotonic()  # start of the present wait, see check()
        self._stalled: tuple[float, int] | None = None  # time, and bytes sent until then
        self._timed: tuple[dict[bytes, bytes], float] | None = None  # a body's headers, and when it began
        self._written = 0  # bytes that were passed to the transport

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._discarding or self._refusal:
            return
        reader = self._reader
        begun, in_body = reader.begun, reader.in_body
        try:
            reader.feed(data)
        except RequestRefused as refused:
            self._refusal = refused
            reader.drop_body()
        # Each piece of a body restarts its timeout. The header has one timeout as a whole, from its first
        # byte: a client that sends a byte at a time must not hold the connection.
        if reader.begun and (reader.in_body or not begun or in_body):
            self._since = monotonic()
        if self._current is None:
            self._advance()
        elif reader.complete and not self._paused:
            self._transport.pause_reading()
            self._paused = True

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self._discarding = True
        self._reader.forget()
        if self._current is not None:
            current, self._current = self._current, None
            current.lost()
        if self.server.lost is not None:
            self.server.lost()

    def pause_writing(self) -> None:
        self.choked = True
        self._stalled = (monotonic(), self._sent)

    def resume_writing(self) -> None:
        self.choked = False
        self._stalled = None
        if self._current is not None and self._current.owner is not None:
            self._current.owner.client_ready()

    # Called by an exchange

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    @property
    def _sent(self) -> int:
        """Bytes that the client's side has taken."""
        return self._written - self._transport.get_write_buffer_size()

    def answered(self, exchange: Exchange, *, close: bool) -> None:
        if exchange is not self._current:
            return
        self._current = None
        self._since = monotonic()
        if close:
            self._close()
        elif not self._advancing:
            self._advance()

    def cut(self, *, close_suffices: bool) -> None:
        """End the connection in the middle of an answer.

        ``close_suffices``: the framing shows that the answer is incomplete, so that an orderly close after
        all bytes sent so far is enough. Otherwise the connection is reset.
        """
        self._current = None
        self._discarding = True
        if close_suffices:
            self._since = monotonic()
            self._transport.close()
        else:
            self._transport.abort()

    # Order of requests

    def _advance(self) -> None:
        """Serve complete requests until one is not answered at once."""
        # A loop and a flag, not recursion: an answer may be written while its request is being served.
        self._advancing = True
        complete = self._reader.complete
        while self._current is None and complete and not self._discarding:
            self._serve(complete.popleft())
        self._advancing = False
        if self._discarding:
            return
        if self._paused and not complete:
            self._paused = False
            self._transport.resume_reading()
        if self._current is None and self._refusal is not None:
            self._refuse(self._refusal)
        elif self._current is None and self._reader.wants_continue:
            self._reader.wants_continue = False
            self._transport.write(CONTINUE)

    def _serve(self, request: Request) -> None:
        self._current = exchange = Exchange(self, request)
        self.server.serve(exchange)

    def _refuse(self, refused: RequestRefused) -> None:
        """Answer a request that could not be read, and close: the bytes after it cannot be parsed."""
        self._refusal = refused
        self._reader.drop_body()
        named = {name: value for name, value in self._reader.headers.items() if name == b"x-request-id"}
        request = Request(b"", b"/", named, keep_alive=False)
        self._current = exchange = Exchange(self, request)
        exchange.answer(refused.answer(request.id))

    def _close(self) -> None:
        if self._refusal or self._reader.begun or self._reader.complete:
            self._linger()
        else:
            self._discarding = True
            self._transport.close()

    def _linger(self) -> None:
        self._discarding = True
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # Time

    @property
    def idle(self) -> bool:
        """True if neither a request nor an answer is in progress."""
        return self._current is None and not self._reader.begun

    def idle_since(self) -> float:
        return self._since

    def check(self, now: float) -> None:
        """End the connection if it has waited too long for its client."""
        limits, waited = self.server.limits, now - self._since
        if self._discarding:
            if waited > LINGER and not self.choked:
                self._transport.abort()
        elif self._current is None and self._reader.begun:
            self._check_reading(now, waited)
        elif self._current is None and waited > limits.keep_alive:
            self.close()
        if self._stalled is not None:
            self._check_stalled(now, *self._stalled)

    def close(self) -> None:
        """Close an idle connection."""
        self._discarding = True
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # close() would wait forever for a client that does not read
        else:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _check_pace(self, now: float) -> None:
        reader, grace = self._reader, self.server.limits.body_timeout
        # Each request has headers of its own. The time counts from the first check that sees its body.
        if self._timed is None or self._timed[0] is not reader.headers:
            self._timed = (reader.headers, now)
        elif is_too_slow(reader.body_size, now - self._timed[1], grace):
            self._refuse(too_slow())

    def _check_reading(self, now: float, waited: float) -> None:
        limits = self.server.limits
        if self._reader.in_body and waited > limits.body_timeout:
            self._refuse(
                RequestRefused(BODY_TIMEOUT, f"No more of the body arrived for {limits.body_timeout:g} s.")
            )
        elif self._reader.in_body:
            self._check_pace(now)
        elif not self._reader.in_body and waited > limits.header_timeout:
            detail = f"The request's header was not complete after {limits.header_timeout:g} s."
            self._refuse(RequestRefused(BODY_TIMEOUT, detail))

    def _check_stalled(self, now: float, since: float, sent_before: int) -> None:
        grace = self.server.limits.body_timeout * READING_GRACE
        if self._sent - sent_before < (now - since - grace) * LEAST_READING_PACE:
            self._transport.abort()
