"""What became of one request of a load."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """What a report counts."""

    ANSWERED = "answered"
    """A status below 400."""
    REFUSED = "refused"
    """503: the queue was full, or nobody was there in time."""
    TIMED_OUT = "timed_out"
    """504, or no whole answer within the sender's own limit."""
    FAILED = "failed"
    """Any other status, or no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResult:
    """Times are seconds since the load began."""

    number: int
    """The request's, counted from 0."""
    due: float
    """When it was to be sent."""
    sent: float
    """When the sender came to it. The difference is the sender's own lateness."""
    ended: float
    """When the last byte of the answer came, or it was given up."""
    fate: Result
    cause: str = ""
    """Of all but the answered: a few words that requests with the same trouble share, ``503 queue-full``."""
    example: str = ""
    """What was said about this one: the problem's detail, or the error's text."""

    @property
    def latency(self) -> float:
        """Counted from when it was due: a sender that comes late does not make the API look better than its
        clients would have found it."""
        return self.ended - self.due

    @property
    def late(self) -> float:
        return self.sent - self.due
