"""The framing of a generator's items in a stream. The first item decides for all.

==================  ==========================  ===================================================
First item          Client                      Framing of each item
==================  ==========================  ===================================================
bytes               any                         as it is (``application/octet-stream``)
str                 accepts text/event-stream   as an event with this text
str                 any other                   as it is (``text/plain``)
anything else       accepts x-ndjson or jsonl   as a line of JSON (``application/x-ndjson``)
anything else       any other                   as an event with JSON: ``data: {"number":1}``
==================  ==========================  ===================================================

A media type that the handler chooses (``Response(generator, media_type=...)``) is kept. If it is one of JSON
lines or events, items other than text are framed accordingly, and text is sent as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gyrus.runtime.handler.answers import BYTES, TEXT, Streaming
from gyrus.runtime.handler.json_encoding import BadAnswer, to_json, utf8
from gyrus.runtime.handler.plain_values import is_bytes
from gyrus.runtime.server.request import Request

EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
_LINES_NAMES = (b"application/x-ndjson", b"application/jsonl", b"application/x-jsonlines")


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to send items."""

    media_type: str
    text_as_is: bool = True

    def frame(self, item: Any) -> bytes:
        """Encode one item. Raises BadAnswer."""
        if is_bytes(item):
            return bytes(item)
        if isinstance(item, str):
            return utf8(item) if self.text_as_is else _event(item)
        if self.media_type.startswith(EVENTS):
            return b"data: %b\n\n" % to_json(item)
        if _is_lines(self.media_type):
            return to_json(item) + b"\n"
        raise BadAnswer(f"a stream of {self.media_type} cannot have an item of type {type(item).__name__}")

    def failure(self, document: bytes) -> bytes | None:
        """Encode a problem document for the middle of the stream.

        Returns None if the media type has no form for it, so that the connection must be cut.
        """
        return b"event: error\ndata: %b\n\n" % document if self.media_type.startswith(EVENTS) else None


def framing_for(streaming: Streaming, first: Any, request: Request) -> Framing:
    """Choose the framing by the first item, which is None if the stream is empty."""
    if streaming.media_type is not None:
        return Framing(streaming.media_type)
    if is_bytes(first):
        return Framing(BYTES)
    if isinstance(first, str):
        return Framing(EVENTS, text_as_is=False) if request.accepts(b"text/event-stream") else Framing(TEXT)
    return Framing(LINES if any(map(request.accepts, _LINES_NAMES)) else EVENTS, text_as_is=False)


def _event(text: str) -> bytes:
    """Encode the text as an event with one data line per line; the client joins them again.

    Raises BadAnswer.
    """
    lines = utf8(text).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"".join(b"data: %b\n" % line for line in lines) + b"\n"


def _is_lines(media_type: str) -> bool:
    return media_type.partition(";")[0].strip().encode("latin-1", "replace") in _LINES_NAMES
