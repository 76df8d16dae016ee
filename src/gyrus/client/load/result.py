"""The result of one request of a load."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """The results that a report counts."""

    ANSWERED = "answered"
    """A status below 400."""
    REFUSED = "refused"
    """503: the queue was full, or no replica was ready in time."""
    TIMED_OUT = "timed_out"
    """504, or no whole answer within the sender's own limit."""
    FAILED = "failed"
    """Any other status, or no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResult:
    """One request and its result. Times are seconds since the load began."""

    number: int
    """The request's number, counted from 0."""
    due: float
    """The time at which to send it."""
    sent: float
    """The time at which it was sent. The difference is the sender's own lateness."""
    ended: float
    """The time of the answer's last byte, or of abandoning the request."""
    fate: Result
    cause: str = ""
    """Empty if answered; else a few words that requests with the same trouble share: ``503 queue-full``."""
    example: str = ""
    """This request's own message: the problem's detail, or the error's text."""

    @property
    def latency(self) -> float:
        """Seconds from the due time, so that a late sender does not make the API look faster than it was."""
        return self.ended - self.due

    @property
    def late(self) -> float:
        return self.sent - self.due
