"""What was seen of an API's traffic since the last decision about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.state.board import Traffic

TRACE = 0.001
"""Requests in flight where some were answered, though none was caught under way by any look."""


@dataclass(frozen=True, slots=True)
class TrafficSample:
    in_flight: float
    """The average, the held ones included."""
    at_work: float
    """The average of those that a replica has, working on them or keeping them in its queue."""


class TrafficSampler:
    """Averages the looks at one API's requests in flight."""

    def __init__(self) -> None:
        self._count = 0
        self._in_flight = 0
        self._at_work = 0
        self._answered: int | None = None
        self._new = False

    def add(self, traffic: Traffic | None, held: int) -> None:
        """One look. ``traffic`` None: the gateway tells nothing just now, and only what is held is known.

        The gateway counts a held request like any other: the gate is where it was sent.
        """
        if traffic is None and not held:
            return
        in_flight = max(traffic.in_flight if traffic else 0, held)
        self._count += 1
        self._in_flight += in_flight
        self._at_work += in_flight - held
        self._note_answered(traffic.view.requests if traffic else 0)

    def _note_answered(self, answered: int) -> None:
        """Counts grow, and begin again from nothing with each gateway."""
        self._new |= self._answered is not None and answered > self._answered
        self._answered = answered

    def begin_anew(self) -> None:
        """Forget the looks: only what comes now counts."""
        self._count = self._in_flight = self._at_work = 0

    def take(self, *, idle: bool = False) -> TrafficSample | None:
        """The averages since the last call; None where nobody could look.

        Of an idle API (no replica is requested) only what is seen counts: what comes now is held, and what
        was answered, and is counted late, came before.
        """
        if not self._count:
            return None
        trace = TRACE if self._new and not idle else 0.0
        seen = TrafficSample(max(self._in_flight / self._count, trace), self._at_work / self._count)
        self.begin_anew()
        self._new = False
        return seen
