"""One client's connection: requests are answered in their order, one at a time.

While one is being answered, the next is read already, so that a client that goes away is noticed at once;
with a second one complete behind it, reading stops until its turn comes (and so does that notice).
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, cast

from gyrus.contract.problem import BODY_TIMEOUT
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.reader import Reader
from gyrus.runtime.server.request import Request

if TYPE_CHECKING:
    from gyrus.runtime.server.server import Server

LINGER = 2.0
"""Seconds for which a refused client's further bytes are read and dropped. To close on them at once could
destroy the answer before the client reads it (RFC 9112, section 9.6)."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    __slots__ = (
        "_advancing", "_current", "_discarding", "_paused", "_reader", "_refusal", "_since", "_stalled",
        "_transport", "choked", "server",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self.server = server
        self.choked = False
        """The client does not take what was written."""
        self._reader = Reader(server.limits)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)  # until connection_made
        self._current: Exchange | None = None
        self._refusal: RequestRefused | None = None  # answered after all that came before it
        self._advancing = False
        self._paused = False
        self._discarding = False
        self._since = monotonic()  # of whatever it waits for, see check()
        self._stalled: tuple[float, int] | None = None  # since when, at how many unsent bytes

    # What the transport calls

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
        self._stalled = (monotonic(), self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self.choked = False
        self._stalled = None
        if self._current is not None and self._current.owner is not None:
            self._current.owner.client_ready()

    # What an exchange calls

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def answered(self, exchange: Exchange, *, close: bool) -> None:
        if exchange is not self._current:
            return
        self._current = None
        self._since = monotonic()
        if close:
            self._close()
        elif not self._advancing:
            self._advance()

    def cut(self, *, told_by_close: bool) -> None:
        """``told_by_close``: a client that has got all that was sent so far, and then the end of the
        connection, knows that this is not all."""
        self._current = None
        self._discarding = True
        if told_by_close:
            self._since = monotonic()
            self._transport.close()
        else:
            self._transport.abort()

    # Turns

    def _advance(self) -> None:
        """Answer what has come until one takes its time. A loop, for an answer may come at once."""
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
        """Answer what could not even be read, and end: whatever comes behind it is void."""
        self._refusal = refused
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
        """Neither a request nor an answer is under way."""
        return self._current is None and not self._reader.begun

    def idle_since(self) -> float:
        return self._since

    def check(self, now: float) -> None:
        """End it if it has waited for its client for too long."""
        limits, waited = self.server.limits, now - self._since
        if self._discarding:
            if waited > LINGER and not self.choked:
                self._transport.abort()
        elif self._current is None and self._reader.begun:
            self._check_reading(waited)
        elif self._current is None and waited > limits.keep_alive:
            self.close()
        if self._stalled is not None:
            self._check_stalled(now, *self._stalled)

    def close(self) -> None:
        """For an idle one."""
        self._discarding = True
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # it would wait for ever for a client that does not read
        else:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _check_reading(self, waited: float) -> None:
        limits = self.server.limits
        if self._reader.in_body and waited > limits.body_timeout:
            self._refuse(
                RequestRefused(BODY_TIMEOUT, f"No more of the body came for {limits.body_timeout:g} s.")
            )
        elif not self._reader.in_body and waited > limits.header_timeout:
            detail = f"The request's header was not complete after {limits.header_timeout:g} s."
            self._refuse(RequestRefused(BODY_TIMEOUT, detail))

    def _check_stalled(self, now: float, since: float, size: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left < size:
            self._stalled = (now, left)
        elif now - since > self.server.limits.body_timeout:
            self._transport.abort()
