"""One connection of the client, with at most one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from gyrus.aio.http.errors import ConnectionLost, HttpError, MalformedResponse, ResponseTooLarge
from gyrus.aio.http.message import HttpRequest, HttpResponse

FRAMING = 8
"""Most bytes of framing for each byte of a body. Chunks of one byte need five."""
LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
"""Headers that define where a body ends."""


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """Limits of a response, in bytes."""

    head: int = 16 * 1024
    """Everything except the body, including the framing of chunks and trailers."""
    body: int = 1024 * 1024


class HttpConnection(asyncio.Protocol):
    """Protocol of the event loop, and receiver of the HTTP parser's callbacks."""

    def __init__(self, limits: ResponseLimits, on_lost: Callable[[HttpConnection], None]) -> None:
        self._limits = limits
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        """The parser, which also refers to this connection. None once the connection is lost."""
        self._answer: asyncio.Future[HttpResponse] | None = None
        """The answer to the current request. None if there is no request."""
        self._method = ""
        self._received = 0
        self._body_length = 0
        self._keep_alive = True
        self._open_ended = False
        self._start_message()

    @property
    def reusable(self) -> bool:
        """True if the connection can carry another request."""
        transport = self._transport
        return self._keep_alive and transport is not None and not transport.is_closing()

    @property
    def silent(self) -> bool:
        """True if no byte of an answer to the latest request has arrived."""
        return self._received == 0

    async def exchange(self, request: HttpRequest, encoded: bytes) -> HttpResponse:
        """Send a request and return the answer. Raises HttpError.

        If there is no answer, or if the caller is cancelled, this closes the connection, because the answer
        may still arrive.
        """
        if self._transport is None:
            raise ConnectionLost("the connection has been closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._method = request.method
        self._received = self._body_length = 0
        self._transport.write(encoded)
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None

    def abort(self) -> None:
        self._keep_alive = False
        if self._transport is not None:
            self._transport.abort()

    # Calls by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # otherwise it would be read as the answer to the next request
            return
        self._received += len(data)
        self._parse(data)
        self._check_size()

    def eof_received(self) -> None:
        if self._open_ended and self._keep_alive:  # without a length, the body ends with the connection
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._parser = None
        reason = str(exc) if exc else "the server closed the connection before its answer was complete"
        self._fail(ConnectionLost(reason))
        self._on_lost(self)

    # Calls by the parser

    def on_message_begin(self) -> None:
        self._start_message()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_complete:  # later ones are trailers
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._head_complete = True
        self._status = self._parser.get_status_code()
        if self._interim:
            return
        if self._method == "HEAD":
            self._keep_alive = False  # the parser would wait for a body of the given length
            self._complete()
            return
        self._open_ended = not any(name.lower() in LENGTHS for name, _ in self._headers)

    def on_body(self, piece: bytes) -> None:
        self._body_length += len(piece)
        if self._body_length <= self._limits.body:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._interim:  # for example 100 Continue: the answer follows
            return
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()
        self._complete()

    # State of the message

    @property
    def _interim(self) -> bool:
        return 100 <= self._status < 200

    def _start_message(self) -> None:
        if self._answer is not None and self._answer.done():
            self._keep_alive = False  # a second answer to one request
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_complete = self._open_ended = False

    def _parse(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._fail(MalformedResponse("the server switches to another protocol without a request for it"))
        except (HttpParserError, HttpParserCallbackError) as error:
            self._keep_alive = False
            self._fail(MalformedResponse(f"the answer is not HTTP: {error}"))

    def _check_size(self) -> None:
        limits, body = self._limits, self._body_length
        if body > limits.body:
            self._fail(ResponseTooLarge(f"the answer's body is longer than {limits.body} bytes"))
        elif self._received - body > limits.head + FRAMING * body:
            self._fail(ResponseTooLarge(f"the answer's head is longer than {limits.head} bytes"))

    def _complete(self) -> None:
        self._check_size()  # one read may contain a complete message that is too large
        if self._answer is not None and not self._answer.done():
            response = HttpResponse(self._status, tuple(self._headers), b"".join(self._body))
            self._answer.set_result(response)

    def _fail(self, error: HttpError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
