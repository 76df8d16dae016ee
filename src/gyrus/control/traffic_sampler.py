"""An API's observed traffic since the last decision about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.state.board import Traffic

TRACE = 0.001
"""Requests in flight if some were answered although no observation found any in flight."""


@dataclass(frozen=True, slots=True)
class TrafficSample:
    in_flight: float
    """Average number of requests in flight, including held ones."""
    at_work: float
    """Average number of requests at replicas, in process or in their queues."""


class TrafficSampler:
    """Averages the observations of one API's requests in flight."""

    def __init__(self) -> None:
        self._count = 0
        self._in_flight = 0
        self._at_work = 0
        self._answered: int | None = None
        self._new = False

    def add(self, traffic: Traffic | None, held: int) -> None:
        """Add an observation. ``traffic`` is None if the gateway does not report it.

        The gateway's count of requests in flight includes held requests, since it has sent them to the gate.
        """
        if traffic is None and not held:
            return
        in_flight = max(traffic.in_flight if traffic else 0, held)
        self._count += 1
        self._in_flight += in_flight
        self._at_work += in_flight - held
        self._note_answered(traffic.view.requests if traffic else 0)

    def _note_answered(self, answered: int) -> None:
        """Note whether requests were answered. Counts grow, and begin at 0 again with each gateway."""
        self._new |= self._answered is not None and answered > self._answered
        self._answered = answered

    def reset(self) -> None:
        """Drop the observations so far."""
        self._count = self._in_flight = self._at_work = 0

    def take(self, *, idle: bool = False) -> TrafficSample | None:
        """Return the averages since the last call. Returns None without any observation.

        For an idle API (no replica is requested), answered requests do not count: they are reported late and
        arrived before it became idle, and new requests are held.
        """
        if not self._count:
            return None
        trace = TRACE if self._new and not idle else 0.0
        seen = TrafficSample(max(self._in_flight / self._count, trace), self._at_work / self._count)
        self.reset()
        self._new = False
        return seen
