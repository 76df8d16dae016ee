"""HTTP requests and responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods of requests that are safe to retry even if the server has already acted (RFC 9110, 9.2.2)."""
CLOSE = "connection: close\r\n"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[!-~]+")
_VALUE = re.compile(r"[\t -~]*")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Request to send.

    The client writes host, content-length and connection, so ``headers`` must not contain them. Raises
    ValueError for characters that would end a line of the head.
    """

    method: str
    target: str
    """The path and the query, or ``*``."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    def __post_init__(self) -> None:
        if not (_TOKEN.fullmatch(self.method) and _TARGET.fullmatch(self.target)):
            raise ValueError(f"{self.method!r} {self.target!r} is not the first line of a request")
        for name, value in self.headers.items():
            if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
                raise ValueError(f"{name!r}: {value!r} is not a header")

    @property
    def idempotent(self) -> bool:
        return self.method in IDEMPOTENT

    def encode(self, host: str, *, close: bool) -> bytes:
        """Return the bytes of the request. ``close``: announce that it is the last on its connection."""
        headers = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        head = (
            f"{self.method} {self.target} HTTP/1.1\r\nhost: {host}\r\n{headers}"
            f"content-length: {len(self.body)}\r\n{CLOSE if close else ''}\r\n"
        )
        return head.encode("ascii") + self.body


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Headers as received, in their order."""
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the header's first value; upper and lower case are equal. Returns None if it is missing."""
        wanted = name.lower().encode("latin-1")
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), None)
