"""One held request, as the gateway told of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gyrus.contract.replica import API_HEADER, ARRIVED_HEADER, LONGEST_KEPT_BODY

LONGEST_KEPT_HERE = 64 * 1024
"""Bytes of a request that has to be passed on which are kept before the rest has to wait where it is. Of a
body of unknown length more is kept while there is room: it may prove short, and only who reads on notices
that the client goes away."""

_API = API_HEADER.encode()
_ARRIVED = ARRIVED_HEADER.encode()


@dataclass(slots=True, eq=False)
class HeldRequest:
    """What matters of its head, and how far its body has come."""

    api: str = ""
    arrived: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    id: str = ""
    head_only: bool = False
    """A HEAD: its answer has no body."""
    length: int | None = None
    """Bytes that its body is to have; None: it is not told beforehand."""
    begun: bool = False
    """Its head is here."""
    complete: bool = False
    raw: bytearray = field(default_factory=bytearray)
    """Head and body as they came, where it may have to be passed on; else empty."""

    def note(self, name: bytes, value: bytes) -> None:
        """A header."""
        match name.lower():
            case name if name == _API:
                self.api = value.decode("latin-1")
            case name if name == _ARRIVED:
                self.arrived = _seconds(value)
            case b"x-request-id":
                self.id = value.decode("latin-1")
            case b"content-length":
                self.length = int(value)
            case _:
                pass

    @property
    def kept_by_gateway(self) -> bool:
        """The gateway can send it anew, whatever of it has come by then.

        A longer body than it keeps must be sent once only, to where it is answered. So must one of unknown
        length: while the gateway waits before its next try, its buffer could run over.
        """
        return self.complete or (self.length is not None and self.length <= LONGEST_KEPT_BODY)

    def enough(self, room: int) -> bool:
        """No more of it may be read. ``room``: bytes that may be kept of it."""
        if not self.begun or self.kept_by_gateway:
            return False
        more = 0 if self.length is not None else min(room, LONGEST_KEPT_BODY)
        return len(self.raw) > max(LONGEST_KEPT_HERE, more)

    def onward(self) -> bytes:
        """What has come of it, for a connection that serves this request alone."""
        head, end, body = bytes(self.raw).partition(b"\r\n\r\n")
        return head + b"\r\nconnection: close" + end + body


def _seconds(value: bytes) -> float:
    """A time that lies in the future is the present: the machine's clock was set back."""
    try:
        return min(float(value), time.time())
    except ValueError:
        return time.time()
