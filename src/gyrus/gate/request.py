"""One held request, as the gateway sent it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gyrus.contract.replica import API_HEADER, ARRIVED_HEADER, LONGEST_KEPT_BODY, PRIVATE_HEADERS

READ = 256 * 1024
"""Bytes that arrive at once at most: what the event loop reads before it can be paused."""
LONGEST_KEPT_HERE = 64 * 1024
"""Bytes to keep of a request that has to be passed on, before the rest waits at the client. A body of unknown
length may keep more while there is space: it may prove short, and only a reader notices that the client goes
away."""

_API = API_HEADER.encode()
_ARRIVED = ARRIVED_HEADER.encode()
_PRIVATE = PRIVATE_HEADERS.encode()


@dataclass(slots=True, eq=False)
class HeldRequest:
    """The relevant part of a request's head, and the progress of its body."""

    api: str = ""
    arrived: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    id: str = ""
    head_only: bool = False
    """True for a HEAD, whose answer has no body."""
    length: int | None = None
    """Bytes of its body, as its head declares them; None if it does not."""
    begun: bool = False
    """True once its head has arrived."""
    complete: bool = False
    raw: bytearray = field(default_factory=bytearray)
    """Head and body as they arrived, if it may have to be passed on; else empty."""
    reserved: int = 0
    """Bytes that are reserved for it."""

    def note(self, name: bytes, value: bytes) -> None:
        """Record a header."""
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
        """True if the gateway can send the request again, at any point of its arrival.

        A body that is longer than the gateway's limit may be sent only once, to the replica that answers it.
        The same holds for a body of unknown length that has not ended: the gateway's buffer could overflow
        while it waits before its next try.
        """
        return self.complete or (self.length is not None and self.length <= LONGEST_KEPT_BODY)

    @property
    def required(self) -> int:
        """The bytes to reserve for it: those that have arrived, and those that may before it is paused."""
        if not self.begun or self.kept_by_gateway:
            return 0
        return max(len(self.raw), LONGEST_KEPT_HERE + READ)

    def enough(self, space: int) -> bool:
        """Return True if no more of it may be read. ``space``: bytes that may be kept of it."""
        if not self.begun or self.kept_by_gateway:
            return False
        more = 0 if self.length is not None else min(space - READ, LONGEST_KEPT_BODY)
        return len(self.raw) > max(LONGEST_KEPT_HERE, more)

    def onward(self, *, private: bool = True) -> bytes:
        """Return the bytes that have arrived, for a connection that serves this request alone.

        ``private``: False to leave out the private headers, for a server without the runtime in front.
        """
        head, end, body = bytes(self.raw).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        kept = lines if private else [line for line in lines if not line.lower().startswith(_PRIVATE)]
        return b"\r\n".join([*kept, b"connection: close"]) + end + body


def _seconds(value: bytes) -> float:
    """Parse a time. A time in the future counts as now: the machine's clock was set back."""
    try:
        return min(float(value), time.time())
    except ValueError:
        return time.time()
