"""One request and its answer, between a connection and the component that answers."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Protocol

from gyrus.runtime.server.answer import WITHOUT_BODY, Answer, Head, head_bytes

if TYPE_CHECKING:
    from gyrus.runtime.server.connection import Connection
    from gyrus.runtime.server.request import Request

JOINED = 64 * 1024
"""Bytes. A body up to this length is copied behind its head, for one write instead of two."""


class Owner(Protocol):
    """The component that answers, and is notified of changes of the client."""

    def client_gone(self) -> None:
        """Handle the loss of the connection before the answer was complete. Called once."""
        ...

    def client_ready(self) -> None:
        """Continue a stream: the client takes more of it (see :attr:`Exchange.choked`)."""
        ...


class Exchange:
    """A request that is answered exactly once.

    Answer it by :meth:`answer`, or by :meth:`begin`, any number of :meth:`send`, and :meth:`end` or
    :meth:`cut`. They do nothing after the client has disconnected.
    """

    __slots__ = ("_chunked", "_connection", "_open", "arrived", "counted", "owner", "request", "streaming")

    def __init__(self, connection: Connection, request: Request) -> None:
        self.request = request
        self.arrived = monotonic()
        self.owner: Owner | None = None
        self.streaming = False
        self.counted = True
        """True if the metrics count the answer as one of the handler's."""
        self._connection = connection
        self._chunked = False
        self._open = True

    @property
    def open(self) -> bool:
        """True while the answer is incomplete and the client connected."""
        return self._open

    @property
    def choked(self) -> bool:
        """True while the client does not take what was sent; send no more until ``client_ready``."""
        return self._connection.choked

    def answer(self, answer: Answer) -> None:
        if not self._open:
            return
        connection, request, now = self._connection, self.request, monotonic()
        status, media_type, body, headers = answer
        close = connection.server.closing or not request.keep_alive
        framing = b"" if status in WITHOUT_BODY else b"content-length: %d\r\n" % len(body)
        data = head_bytes(Head(status, media_type, headers), framing, request.id, now, close=close)
        self._open = False  # not before: an answer whose head cannot be encoded leaves the exchange open
        if request.method == b"HEAD" or status in WITHOUT_BODY:
            body = b""
        if len(body) <= JOINED:
            connection.write(data + body)
        else:
            connection.write(data)
            connection.write(body)
        if self.counted:
            connection.server.tally(status, now - self.arrived)
        self.owner = None  # it refers to this exchange: a cycle would wait for the garbage collector
        connection.answered(self, close=close)

    def begin(self, head: Head) -> None:
        if not self._open:
            return
        self.streaming = True
        request, now = self.request, monotonic()
        self._chunked = request.version == "1.1" and head.status not in WITHOUT_BODY
        close = self._closes
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        self._connection.write(head_bytes(head, framing, request.id, now, close=close))
        self._connection.server.tally(head.status, now - self.arrived)
        if head.status in WITHOUT_BODY:
            self.end()

    def send(self, chunk: bytes) -> None:
        if not self._open or not chunk or self.request.method == b"HEAD":
            return
        self._connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)

    def end(self) -> None:
        """End a complete stream."""
        if not self._open:
            return
        self._open = False
        self.owner = None
        if self._chunked and self.request.method != b"HEAD":
            self._connection.write(b"0\r\n\r\n")
        self._connection.answered(self, close=self._closes)

    def cut(self) -> None:
        """End a stream that cannot be completed, together with the connection, so that the client notices."""
        if not self._open:
            return
        self._open = False
        self.owner = None
        self._connection.cut(close_suffices=self._chunked)

    def lost(self) -> None:
        """Notify the owner that the client has disconnected. Called by the connection."""
        if not self._open:
            return
        self._open = False
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.client_gone()

    @property
    def _closes(self) -> bool:
        return self._connection.server.closing or not self.request.keep_alive or not self._chunked
