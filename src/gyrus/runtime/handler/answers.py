"""Encoding of a handler's return value as an answer.

===========================  ==================================================================
Return value                 Answer
===========================  ==================================================================
str                          ``text/plain``
bytes, bytearray, ...        ``application/octet-stream``
a generator, an iterator     a stream (see :mod:`gyrus.runtime.handler.streams`)
``gyrus.Response``           its body by the same rules, with its status, headers, media type
anything else, None as null  JSON (see :mod:`gyrus.runtime.handler.json_encoding`)
===========================  ==================================================================
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from gyrus.runtime.handler.json_encoding import BadAnswer, to_json, utf8
from gyrus.runtime.handler.plain_values import is_bytes
from gyrus.runtime.handler.response_head import AnswerHeaders, headers_of, status_of
from gyrus.runtime.response import Response
from gyrus.runtime.server.answer import JSON, WITHOUT_BODY, Answer

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"

_PLAIN = frozenset({dict, list})
"""The types that most handlers return; they need no further checks before they become JSON."""


class Streaming(NamedTuple):
    """An answer whose body is sent in parts."""

    items: Iterator[Any] | AsyncIterator[Any]
    status: int = 200
    media_type: str | None = None
    """Media type; None means the one that fits the first item."""
    headers: AnswerHeaders = ()


def encode(result: Any) -> Answer | Streaming:
    """Encode a handler's return value. Raises BadAnswer."""
    if result is None or type(result) in _PLAIN:
        return Answer(200, JSON, to_json(result))
    if isinstance(result, Response):
        media_type, headers = headers_of(result)
        return _encode(result.body, status_of(result), media_type, headers)
    return _encode(result, 200, None, ())


def _encode(body: Any, status: int, media_type: str | None, headers: AnswerHeaders) -> Answer | Streaming:
    if status in WITHOUT_BODY:
        return Answer(status, None, b"", headers)
    if isinstance(body, str):
        return Answer(status, media_type or TEXT, utf8(body), headers)
    if is_bytes(body):
        return Answer(status, media_type or BYTES, bytes(body), headers)
    if isinstance(body, Response):
        raise BadAnswer("a Response is the body of another Response; return it alone")
    if hasattr(body, "__anext__") or (hasattr(body, "__next__") and hasattr(body, "__iter__")):
        return Streaming(body, status, media_type, headers)
    return Answer(status, media_type or JSON, to_json(body), headers)
