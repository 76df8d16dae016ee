"""One request, complete with its body."""

from __future__ import annotations

import os
from itertools import count
from typing import ClassVar
from urllib.parse import unquote

LONGEST_ID = 128
"""Characters. A longer ``x-request-id`` of a client is not used."""

_OF_PROCESS = os.urandom(8).hex()
_number = count(1)


class Request:
    """A client's request. Names of headers are in lower case, values are as they were sent.

    The values of a header that was sent more than once are joined by commas.
    """

    __slots__ = ("_id", "body", "headers", "keep_alive", "method", "target", "version")

    NO_BODY: ClassVar[bytes] = b""

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        body: bytes = NO_BODY,
        *,
        keep_alive: bool = True,
        version: str = "1.1",
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.keep_alive = keep_alive
        """True if the client may send another request on the same connection."""
        self.version = version
        self._id: bytes | None = None

    @property
    def id(self) -> bytes:
        """The client's ``x-request-id``, or a generated one."""
        if self._id is None:
            given = self.headers.get(b"x-request-id")
            self._id = (
                given if given and _is_fit(given) else b"%s%08x" % (_OF_PROCESS.encode(), next(_number))
            )
        return self._id

    @property
    def path(self) -> str:
        """The decoded path, without the query."""
        path = self.target.partition(b"?")[0]
        if not path.startswith(b"/"):  # absolute form, as sent to a proxy
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        return unquote(path.decode("latin-1"))

    @property
    def query(self) -> str:
        """The part after ``?``, as it was sent."""
        return self.target.partition(b"?")[2].decode("latin-1")

    def accepts(self, media_type: bytes) -> bool:
        """Return True if ``Accept`` names the media type; ``*/*`` does not name it."""
        return media_type in self.headers.get(b"accept", b"").lower()


def _is_fit(given: bytes) -> bool:
    return len(given) <= LONGEST_ID and given.isascii() and b" " not in given and b'"' not in given
