"""Messages on a connection: a head, then the pieces of its body, then the next message.

::

    MalformedMessage  the bytes are not HTTP, or ended in the middle of a message
    └── Oversized     its head is too large
    Ended             the connection ended between two messages
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

CHUNK = 64 * 1024
"""Bytes that are read at once; no more than that of a body is ever in memory."""
BODILESS = frozenset({204, 304})


class MalformedMessage(Exception):
    pass


class Oversized(MalformedMessage):
    pass


class Ended(Exception):
    pass


HeaderList = list[tuple[bytes, bytes]]


@dataclass(slots=True, eq=False)
class MessageHead:
    """The head of a request (``method``, ``target``) or of an answer (``status``, ``phrase``)."""

    headers: HeaderList
    version: str
    keep_alive: bool
    method: bytes = b""
    target: bytes = b""
    status: int = 0
    phrase: bytes = b""

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a header; ``name`` is in lower case. Returns None if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def length(self) -> int | None:
        value = self.get(b"content-length")
        return None if value is None or self.chunked else int(value)

    @property
    def chunked(self) -> bool:
        return self.get(b"transfer-encoding") is not None

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]


class _End:
    """The end of a message."""


END = _End()


class Incoming:
    """One direction of a connection, as a sequence of messages."""

    def __init__(self, reader: asyncio.StreamReader, max_header: int) -> None:
        self._reader = reader
        self._max_header = max_header
        self._events: deque[MessageHead | bytes | _End] = deque()
        self._headers: HeaderList = []
        self._size = 0  # of the head so far
        self._target = b""
        self._phrase = b""
        self._started = False
        self._in_body = False
        self.upgraded = False
        """True if another protocol may follow; ``rest`` has the bytes of it that were read already."""
        self.rest = b""

    # Called by the parser

    def on_message_begin(self) -> None:
        self._started = True
        self._headers, self._target, self._phrase = [], b"", b""

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_status(self, part: bytes) -> None:
        self._phrase += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # else it is a trailer, which is not forwarded
            self._headers.append((name, value))

    def on_body(self, piece: bytes) -> None:
        self._events.append(piece)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._events.append(self._head())

    def on_message_complete(self) -> None:
        self._started = self._in_body = False
        self._size = 0
        self._events.append(END)

    # Called by the readers of the messages

    async def begun(self) -> None:
        """Wait until the next message has begun to arrive. Raises Ended."""
        if self.between_messages:
            await self._fill()

    async def head(self) -> MessageHead:
        """Read the next message's head. Raises MalformedMessage, Oversized, Ended."""
        event = await self._next()
        assert isinstance(event, MessageHead)
        return event

    async def piece(self) -> bytes | None:
        """Read the next piece of the body. Returns None after the last one. Raises MalformedMessage."""
        try:
            event = await self._next()
        except Ended:
            raise MalformedMessage("the connection was closed in the middle of a body") from None
        assert not isinstance(event, MessageHead)
        return event if isinstance(event, bytes) else None

    @property
    def between_messages(self) -> bool:
        """True if no part of another message has arrived."""
        return not self._events and not self._started

    def skip_empty_body(self) -> bool:
        """Skip the end of a message without a body. Returns False if there is a body to read."""
        if self._events and self._events[0] is END:
            self._events.popleft()
            return True
        return False

    async def drop(self) -> None:
        """Read and drop all bytes until the connection ends."""
        while await self._reader.read(CHUNK):
            pass

    async def pour(self, writer: asyncio.StreamWriter) -> None:
        """Forward all bytes unchanged until the connection ends."""
        try:
            while data := await self._reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass

    def _head(self) -> MessageHead:
        raise NotImplementedError

    def _feed(self, data: bytes) -> None:
        raise NotImplementedError

    async def _next(self) -> MessageHead | bytes | _End:
        while not self._events:
            await self._fill()
        return self._events.popleft()

    async def _fill(self) -> None:
        data = await self._reader.read(CHUNK)
        if not data:
            if self._started and not self._in_body:
                raise MalformedMessage("the connection was closed in the middle of a head")
            raise Ended
        if not self._in_body:
            self._size += len(data)
        try:
            self._feed(data)
        except HttpParserUpgrade as upgrade:
            self.upgraded, self.rest = True, data[upgrade.args[0] :]
        except HttpParserError as error:
            raise MalformedMessage(str(error)) from None
        if not self._in_body and self._size > self._max_header + CHUNK:
            raise Oversized


class Requests(Incoming):
    """The requests of a client."""

    def __init__(self, reader: asyncio.StreamReader, max_header: int) -> None:
        super().__init__(reader, max_header)
        self._parser = HttpRequestParser(self)

    def _feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def _head(self) -> MessageHead:
        parser = self._parser
        return MessageHead(
            self._headers,
            parser.get_http_version(),
            parser.should_keep_alive(),
            method=parser.get_method(),
            target=self._target,
        )


class Answers(Incoming):
    """The answers of a server."""

    def __init__(self, reader: asyncio.StreamReader, max_header: int) -> None:
        super().__init__(reader, max_header)
        self._parser = HttpResponseParser(self)

    def _feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def _head(self) -> MessageHead:
        parser = self._parser
        return MessageHead(
            self._headers,
            parser.get_http_version(),
            parser.should_keep_alive(),
            status=parser.get_status_code(),
            phrase=self._phrase,
        )
