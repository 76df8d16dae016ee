"""How the items of a generator go over the wire. The first item decides for all.

==================  ==========================  ===================================================
the first item is   and the client              so each item is sent
==================  ==========================  ===================================================
bytes               whoever                     as it is (``application/octet-stream``)
str                 accepts text/event-stream   as an event with this text
str                 else                        as it is (``text/plain``)
anything else       accepts x-ndjson or jsonl   as a line of JSON (``application/x-ndjson``)
anything else       else                        as an event with JSON: ``data: {"number":1}``
==================  ==========================  ===================================================

A media type that the handler chose (``Response(generator, media_type=...)``) stays; with one of JSON lines or
events, items that are not text are framed so, and text goes as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gyrus.runtime.handler.answers import BYTES, TEXT, BadAnswer, Streaming, is_bytes, to_json
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
        """Raises BadAnswer."""
        if is_bytes(item):
            return bytes(item)
        if isinstance(item, str):
            return item.encode("utf-8", "surrogatepass") if self.text_as_is else _event(item)
        if self.media_type.startswith(EVENTS):
            return b"data: %b\n\n" % to_json(item)
        if _is_lines(self.media_type):
            return to_json(item) + b"\n"
        raise BadAnswer(f"an item of type {type(item).__name__} came in a stream of {self.media_type}")

    def failure(self, document: bytes) -> bytes | None:
        """How a problem is told in the middle of the stream; None: it cannot be, so cut the connection."""
        return b"event: error\ndata: %b\n\n" % document if self.media_type.startswith(EVENTS) else None


def framing_for(streaming: Streaming, first: Any, request: Request) -> Framing:
    """``first``: the first item; None where the stream is empty."""
    if streaming.media_type is not None:
        return Framing(streaming.media_type)
    if is_bytes(first):
        return Framing(BYTES)
    if isinstance(first, str):
        return Framing(EVENTS, text_as_is=False) if request.accepts(b"text/event-stream") else Framing(TEXT)
    return Framing(LINES if any(map(request.accepts, _LINES_NAMES)) else EVENTS, text_as_is=False)


def _event(text: str) -> bytes:
    """An event of the text's lines; the reader joins them again."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(f"data: {line}\n" for line in lines).encode("utf-8", "replace") + b"\n"


def _is_lines(media_type: str) -> bool:
    return media_type.partition(";")[0].strip().encode("latin-1", "replace") in _LINES_NAMES
