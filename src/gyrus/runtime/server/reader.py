"""Hostile bytes to requests. Feeds an :mod:`httptools` parser (llhttp, strict) and adds what it leaves open:
sizes, and what must be refused lest two parsers read it differently (RFC 9112, sections 3.2, 6.1 and 6.3).
"""

from __future__ import annotations

from collections import deque

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from gyrus.contract.problem import BAD_REQUEST, HEADER_TOO_LARGE
from gyrus.contract.replica import Limits
from gyrus.runtime.server.problems import RequestRefused, body_too_large
from gyrus.runtime.server.request import Request

LINE_OVERHEAD = 4
"""Bytes of a header line besides its name and value."""
FRAMING_ALLOWANCE = 64 * 1024
FRAMING_SHARE = 16
"""A chunked body may take so many bytes of framing a byte of content, and the allowance: small chunks are
legal, endless chunk extensions are an attack."""


class Reader:
    """One connection's parser. After it refused something, it is of no more use."""

    def __init__(self, limits: Limits) -> None:
        self.complete: deque[Request] = deque()
        """Requests that nobody has taken yet, in order."""
        self.begun = False
        """A part of a request has come."""
        self.in_body = False
        """... and its header is complete."""
        self.wants_continue = False
        """... and its client waits to be told that it may send the body."""
        self._max_header = limits.max_header
        self._max_body = limits.max_body
        self._parser = HttpRequestParser(self)
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_size = 0
        self._body = b""
        self._pieces: list[bytes] | None = None  # of a body that did not come at once
        self._body_size = 0
        self._fed = 0  # bytes of this request in chunks before the present one
        self._refusal: RequestRefused | None = None

    def feed(self, data: bytes) -> None:
        """Requests that came before what is refused are in ``complete`` all the same. Raises Refused."""
        before = self.begun
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError:
            raise self._refusal or RequestRefused(BAD_REQUEST, "The request could not be read.") from None
        except HttpParserUpgrade:
            self._leave_protocol()
        except HttpParserError as error:
            raise RequestRefused(BAD_REQUEST, f"The request is not well-formed HTTP/1.1: {error}.") from None
        if self.begun:
            self._fed = self._fed + len(data) if before else 0
            self._check_fed()

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Of the request that is being read, as far as they have come."""
        return self._headers

    def forget(self) -> None:
        """Nobody will ask for what has come. Parser and reader refer to each other, so that a body would stay
        until the garbage collector finds them."""
        self.complete.clear()
        self._body, self._pieces = b"", None

    # What the parser calls

    def on_message_begin(self) -> None:
        self.begun = True
        self._target = b""
        self._header_size = 0

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._header_size += len(part)
        if self._header_size > self._max_header:
            self._refuse_header()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_size += len(name) + len(value) + LINE_OVERHEAD
        if self._header_size > self._max_header:
            self._refuse_header()
        if self.in_body:  # a trailer: it must not become a header
            return
        name = name.lower()
        if name in self._headers:
            self._repeated(name, value)
        else:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        self.in_body = True
        headers = self._headers
        length = headers.get(b"content-length")
        if b"host" not in headers and self._parser.get_http_version() == "1.1":
            self._refuse("HTTP/1.1 requires the header Host; send it.")
        if b"transfer-encoding" in headers:
            self._check_chunked()
        elif length is not None and int(length) > self._max_body:
            self._refuse_body()
        if b"expect" in headers:
            self._check_expectation()

    def on_body(self, piece: bytes) -> None:
        if not self._body_size:
            self._body = piece
            self.wants_continue = False  # its client did not wait
        elif self._pieces is None:
            self._pieces = [self._body, piece]
        else:
            self._pieces.append(piece)
        self._body_size += len(piece)
        if self._body_size > self._max_body:
            self._refuse_body()

    def on_message_complete(self) -> None:
        parser = self._parser
        body = self._body if self._pieces is None else b"".join(self._pieces)
        self.complete.append(
            Request(
                parser.get_method(),
                self._target,
                self._headers,
                body,
                keep_alive=parser.should_keep_alive(),
                version=parser.get_http_version(),
            )
        )
        self.begun = self.in_body = self.wants_continue = False
        self._headers = {}
        self._body, self._pieces, self._body_size, self._fed = b"", None, 0, 0

    # What is refused

    def _repeated(self, name: bytes, value: bytes) -> None:
        if name in (b"host", b"content-length", b"transfer-encoding"):
            self._refuse(f"The header {name.decode()} came twice; send it once.")
        joint = b"; " if name == b"cookie" else b", "
        self._headers[name] += joint + value

    def _check_chunked(self) -> None:
        if b"content-length" in self._headers:
            self._refuse("The request has Content-Length and Transfer-Encoding; send one of them.")
        if self._headers[b"transfer-encoding"].strip().lower() != b"chunked":
            self._refuse("The request's Transfer-Encoding is not chunked, the only one that is understood.")
        if self._parser.get_http_version() != "1.1":
            self._refuse("Transfer-Encoding does not exist before HTTP/1.1; send Content-Length.")

    def _check_expectation(self) -> None:
        """Of an older client, and where there is no body, it means nothing."""
        if self._headers[b"expect"].lower() == b"100-continue" and self._parser.get_http_version() == "1.1":
            self.wants_continue = True

    def _check_fed(self) -> None:
        """Bytes that no callback has told of: an endless header line, chunk extensions."""
        if not self.in_body and self._fed > self._max_header:
            raise self._header_too_large()
        if (
            self.in_body
            and self._fed > self._max_header + FRAMING_ALLOWANCE + FRAMING_SHARE * self._body_size
        ):
            raise RequestRefused(BAD_REQUEST, "The body's chunks are mostly framing; send larger ones.")

    def _leave_protocol(self) -> None:
        """The client offers another protocol. It is declined by answering in this one, and the connection
        ends, for the parser cannot go on. A body would be lost."""
        last = self.complete[-1]
        last.keep_alive = False
        if last.method == b"CONNECT" or last.headers.get(b"content-length", b"0") != b"0" or (
            b"transfer-encoding" in last.headers
        ):  # fmt: skip
            self.complete.pop()
            raise RequestRefused(BAD_REQUEST, "Other protocols are not spoken here; send it without Upgrade.")

    def _refuse(self, detail: str) -> None:
        self._refusal = RequestRefused(BAD_REQUEST, detail)
        raise self._refusal

    def _refuse_header(self) -> None:
        self._refusal = self._header_too_large()
        raise self._refusal

    def _header_too_large(self) -> RequestRefused:
        return RequestRefused(
            HEADER_TOO_LARGE, f"The request's header has more than {self._max_header} bytes."
        )

    def _refuse_body(self) -> None:
        self._refusal = body_too_large(self._max_body)
        raise self._refusal
