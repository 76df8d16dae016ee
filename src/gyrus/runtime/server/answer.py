"""Answers, as values and as bytes."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

JSON = "application/json"


class Answer(NamedTuple):
    """A complete answer, including its body."""

    status: int
    media_type: str | None
    """Media type; None means no body and no ``content-type``."""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers besides those that the server writes itself, checked by :func:`check_header`."""


class Head(NamedTuple):
    """The beginning of a streamed answer."""

    status: int
    media_type: str | None
    headers: tuple[tuple[str, str], ...] = ()


WRITTEN_BY_SERVER = frozenset(
    {"connection", "content-length", "content-type", "date", "keep-alive", "te", "trailer",
     "transfer-encoding", "upgrade", "x-request-id"}
)  # fmt: skip
"""Headers that an answer cannot choose, because they frame it or belong to the connection."""

WITHOUT_BODY = frozenset({204, 304})

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_header(name: str, value: str) -> tuple[str, str]:
    """Return the header in the form in which it is sent. Raises ValueError if it would break the answer."""
    name = name.lower()
    if not name or not _TOKEN.issuperset(name):
        raise ValueError(f"{name!r} is not a header's name")
    if _CONTROL.search(value):
        raise ValueError(f"the header {name} has a control character in its value")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"the header {name} has {value[error.start]!r} in its value; encode it") from error
    return name, value.strip()


def head_bytes(head: Head, framing: bytes, request_id: bytes, now: float, *, close: bool) -> bytes:
    """Encode the head of an answer.

    ``framing``: the header with the body's length or transfer coding, or nothing. ``now``: monotonic seconds.
    """
    parts = [_start(head.status, head.media_type), request_id, _date(now), framing]
    if head.headers:
        parts.extend(f"{name}: {value}\r\n".encode("latin-1") for name, value in head.headers)
    parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    return b"".join(parts)


@lru_cache(256)
def _start(status: int, media_type: str | None) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    kind = f"content-type: {media_type}\r\n" if media_type else ""
    return f"HTTP/1.1 {status} {phrase}\r\n{kind}x-request-id: ".encode("latin-1")


class _DateLine:
    """The header line with the date, renewed once a second."""

    def __init__(self) -> None:
        self.until = float("-inf")
        self.queue = b""

    def renew(self, now: float) -> bytes:
        present = time.time()
        self.until = now + 1 - present % 1
        self.queue = f"\r\ndate: {_imf_date(present)}\r\n".encode()
        return self.queue


_dates = _DateLine()

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _imf_date(epoch: float) -> str:
    """Format a date as ``Sun, 06 Nov 1994 08:49:37 GMT`` in every locale."""
    # Not email.utils: importing it takes 5 ms.
    at = time.gmtime(epoch)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return f"{day}, {at.tm_mday:02} {month} {at.tm_year} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"


def _date(now: float) -> bytes:
    return _dates.queue if now < _dates.until else _dates.renew(now)
