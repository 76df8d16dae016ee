"""Parsing of untrusted bytes into requests.

The reader feeds an :mod:`httptools` parser (llhttp, strict) and adds the checks that llhttp leaves open:
limits of size, and the refusal of requests that two parsers might read differently (RFC 9112, sections 3.2,
6.1 and 6.3).
"""

from __future__ import annotations

from collections import deque

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from gyrus.contract.problem import BAD_REQUEST, HEADER_TOO_LARGE
from gyrus.contract.replica import Limits
from gyrus.runtime.server.bodies import FREE, STEP, BodyBudget, most_of
from gyrus.runtime.server.problems import RequestRefused, bodies_full, body_too_large
from gyrus.runtime.server.request import Request

LINE_OVERHEAD = 4
"""Bytes of a header line in addition to its name and value."""
FRAMING_ALLOWANCE = 64 * 1024
FRAMING_SHARE = 16
"""Bytes of framing that a chunked body may have per byte of content, in addition to the allowance.

Small chunks are legal. Endless chunk extensions are an attack.
"""


class Reader:
    """The parser of one connection. It is of no further use after it has refused a request."""

    def __init__(self, limits: Limits, budget: BodyBudget | None = None) -> None:
        """Create the reader. ``budget``: the memory that it shares with others; None for one of its own."""
        self.complete: deque[Request] = deque()
        """Complete requests that have not been taken yet, in order."""
        self.begun = False
        """True if a part of a request has arrived."""
        self._begins = False
        """True if that request has begun in the latest piece of data."""
        self.in_body = False
        """True if that request's header is complete."""
        self.wants_continue = False
        """True if that request's client waits for ``100 Continue`` before it sends the body."""
        self._max_header = limits.max_header
        self._max_body = limits.max_body
        self._short = min(limits.max_body, FREE)  # bodies up to this length need no further check
        self._parser = HttpRequestParser(self)
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_size = 0
        self._body = b""
        self._pieces: list[bytes] | None = None  # of a body that arrived in several pieces
        self._body_size = 0
        self._budget = budget or BodyBudget(most_of(limits))
        self._reserved = 0  # bytes of this request's body
        self._fed = 0  # bytes of this request after the piece of data in which it began
        self._refusal: RequestRefused | None = None

    def feed(self, data: bytes) -> None:
        """Parse more bytes. Requests before a refused one stay in ``complete``. Raises RequestRefused."""
        self._begins = False
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError:
            raise self._refusal or RequestRefused(BAD_REQUEST, "The request could not be read.") from None
        except HttpParserUpgrade:
            self._leave_protocol()
        except HttpParserError as error:
            raise RequestRefused(BAD_REQUEST, f"The request is not well-formed HTTP/1.1: {error}.") from None
        if self.begun:
            self._fed = 0 if self._begins else self._fed + len(data)
            self._check_fed()

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Headers of the request that is being read, as far as they have arrived."""
        return self._headers

    @property
    def body_size(self) -> int:
        """Bytes of the body that is being read, as far as they have arrived."""
        return self._body_size

    def forget(self) -> None:
        """Drop all that has been read.

        Parser and reader refer to each other, so a body would otherwise stay in memory until the garbage
        collector finds them.
        """
        self.complete.clear()
        self.drop_body()

    def drop_body(self) -> None:
        """Drop what has arrived of a body, and release its memory."""
        self._body, self._pieces = b"", None
        self._release()

    # Called by the parser

    def on_message_begin(self) -> None:
        self.begun = self._begins = True
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
        elif length is not None and (size := int(length)) > self._short:
            self._expect_body(size)
        if b"expect" in headers:
            self._check_expectation()

    def on_body(self, piece: bytes) -> None:
        if not self._body_size:
            self._body = piece
            self.wants_continue = False  # the client did not wait for it
        elif self._pieces is None:
            self._pieces = [self._body, piece]
        else:
            self._pieces.append(piece)
        self._body_size += len(piece)
        if self._body_size > self._short:
            self._count_body()

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
        if self._reserved:
            self._release()

    def _expect_body(self, size: int) -> None:
        if size > self._max_body:
            self._refuse_body()
        if size > FREE:
            self._reserve(size - FREE)

    def _count_body(self) -> None:
        if self._body_size > self._max_body:
            self._refuse_body()
        if (lacking := self._body_size - FREE - self._reserved) > 0:  # only if its length is unknown
            self._reserve(max(lacking, STEP))

    def _reserve(self, size: int) -> None:
        if not self._budget.reserve(size):
            self._refusal = bodies_full(self._budget.most)
            raise self._refusal
        self._reserved += size

    def _release(self) -> None:
        self._budget.release(self._reserved)
        self._reserved = 0

    # Refusals

    def _repeated(self, name: bytes, value: bytes) -> None:
        if name in (b"host", b"content-length", b"transfer-encoding"):
            self._refuse(f"The header {name.decode()} was sent twice; send it once.")
        joint = b"; " if name == b"cookie" else b", "
        self._headers[name] += joint + value

    def _check_chunked(self) -> None:
        if b"content-length" in self._headers:
            self._refuse("The request has Content-Length and Transfer-Encoding; send one of them.")
        if self._headers[b"transfer-encoding"].strip().lower() != b"chunked":
            self._refuse("The request's Transfer-Encoding is not supported; send it as chunked.")
        if self._parser.get_http_version() != "1.1":
            self._refuse("Transfer-Encoding does not exist before HTTP/1.1; send Content-Length.")

    def _check_expectation(self) -> None:
        """Note that the client waits for ``100 Continue``; the header means nothing before HTTP/1.1."""
        if self._headers[b"expect"].lower() == b"100-continue" and self._parser.get_http_version() == "1.1":
            self.wants_continue = True

    def _check_fed(self) -> None:
        """Limit the bytes that no callback reports, as of an endless header line or of chunk extensions."""
        if not self.in_body and self._fed > self._max_header:
            raise self._header_too_large()
        if (
            self.in_body
            and self._fed > self._max_header + FRAMING_ALLOWANCE + FRAMING_SHARE * self._body_size
        ):
            raise RequestRefused(BAD_REQUEST, "The body's chunks are mostly framing; send larger ones.")

    def _leave_protocol(self) -> None:
        """Decline the client's offer of another protocol by answering in HTTP/1.1.

        The parser cannot continue after such a request, so the answer ends the connection. A request with a
        body is refused, because its body would be lost.
        """
        last = self.complete[-1]
        last.keep_alive = False
        if last.method == b"CONNECT" or last.headers.get(b"content-length", b"0") != b"0" or (
            b"transfer-encoding" in last.headers
        ):  # fmt: skip
            self.complete.pop()
            raise RequestRefused(BAD_REQUEST, "Other protocols are not supported; send it without Upgrade.")

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
