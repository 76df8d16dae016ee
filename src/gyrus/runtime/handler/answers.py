"""Encoding of a handler's return value as an answer.

===========================  ==================================================================
Return value                 Answer
===========================  ==================================================================
str                          ``text/plain``
bytes, bytearray, ...        ``application/octet-stream``
a generator, an iterator     a stream (see :mod:`gyrus.runtime.handler.streams`)
``gyrus.Response``           its body by the same rules, with its status, headers, media type
anything else, None as null  JSON: also numpy's arrays and scalars, dataclasses, pydantic models,
                             msgspec structs, dates, enums, UUIDs, sets, tensors
===========================  ==================================================================

::

    BadAnswer    the returned value cannot be sent; the message gives the cause, in the user's words
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import msgspec
import orjson

from gyrus.runtime.response import Response
from gyrus.runtime.server.answer import JSON, WITHOUT_BODY, WRITTEN_BY_SERVER, Answer, check_header

if TYPE_CHECKING:
    from typing_extensions import Buffer

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"

_PLAIN = frozenset({dict, list})
"""The types that most handlers return; they need no further checks before they become JSON."""
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_LAX_OPTIONS = _OPTIONS | orjson.OPT_NON_STR_KEYS
"""Slower, so used only if a key is not text."""


_STATUSES = range(200, 600)


class BadAnswer(Exception):
    pass


class Streaming(NamedTuple):
    """An answer whose body is sent in parts."""

    items: Iterator[Any] | AsyncIterator[Any]
    status: int = 200
    media_type: str | None = None
    """Media type; None means the one that fits the first item."""
    headers: tuple[tuple[str, str], ...] = ()


def encode(result: Any) -> Answer | Streaming:
    """Encode a handler's return value. Raises BadAnswer."""
    if result is None or type(result) in _PLAIN:
        return Answer(200, JSON, to_json(result))
    if isinstance(result, Response):
        return _encode_response(result)
    return _encode(result, 200, None, ())


def to_json(value: Any) -> bytes:
    """Serialize a value. Raises BadAnswer."""
    try:
        return orjson.dumps(value, _plain, _OPTIONS)
    except TypeError as error:
        if "Dict key must" not in str(error):
            raise _unserialisable(error) from error
    try:
        return orjson.dumps(value, _plain, _LAX_OPTIONS)
    except TypeError as error:
        raise _unserialisable(error) from error


def _encode_response(response: Response) -> Answer | Streaming:
    if response.status not in _STATUSES:
        raise BadAnswer(f"the status {response.status!r} is not a number from 200 to 599")
    try:
        headers = tuple(check_header(name, value) for name, value in response.headers.items())
        if response.media_type is not None:
            check_header("content-type", response.media_type)
    except (ValueError, AttributeError, TypeError) as error:
        raise BadAnswer(str(error)) from error
    if media_type := dict(headers).get("content-type"):
        headers = tuple(header for header in headers if header[0] != "content-type")
    if taken := [name for name, _ in headers if name in WRITTEN_BY_SERVER]:
        raise BadAnswer(f"the header {taken[0]} is written by the server; leave it out")
    return _encode(response.body, response.status, response.media_type or media_type, headers)


def _encode(
    body: Any, status: int, media_type: str | None, headers: tuple[tuple[str, str], ...]
) -> Answer | Streaming:
    if status in WITHOUT_BODY:
        return Answer(status, None, b"", headers)
    if isinstance(body, str):
        return Answer(status, media_type or TEXT, body.encode("utf-8", "surrogatepass"), headers)
    if is_bytes(body):
        return Answer(status, media_type or BYTES, bytes(body), headers)
    if isinstance(body, Response):
        raise BadAnswer("a Response is the body of another Response; return it alone")
    if hasattr(body, "__anext__") or (hasattr(body, "__next__") and hasattr(body, "__iter__")):
        return Streaming(body, status, media_type, headers)
    return Answer(status, media_type or JSON, to_json(body), headers)


def is_bytes(value: object) -> TypeGuard[Buffer]:
    return isinstance(value, (bytes, bytearray, memoryview))


def _plain(value: Any) -> Any:
    """Convert a value of a type that orjson does not know. Raises TypeError."""
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):  # arrays that are not contiguous, tensors, series
        return value.tolist()
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, builtin_types=(bytes,))
    if isinstance(value, (set, frozenset)):
        return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- any items
    if isinstance(value, os.PathLike):
        return os.fspath(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- or bytes
    raise TypeError


def _unserialisable(error: TypeError) -> BadAnswer:
    what = str(error).removeprefix("Type is not JSON serializable: ")
    if what != str(error):
        return BadAnswer(f"a value of type {what} is not JSON serializable; use numbers, text, lists, dicts")
    return BadAnswer(f"it is not JSON serializable: {what}")
