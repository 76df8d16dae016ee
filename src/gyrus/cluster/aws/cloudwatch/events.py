"""Log events, and their division into batches that PutLogEvents accepts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

OVERHEAD = 26
"""Bytes that CloudWatch counts for an event beside its message."""
EVENT = 256 * 1024
"""Bytes of an event with its overhead, at most. CloudWatch takes 1 MB since 2025; emulators, and tools that
read the log, keep the earlier limit."""
BATCH = 1_048_576
"""Bytes of a batch, at most."""
BATCH_EVENTS = 10_000
BATCH_SPAN = 24 * 3600 * 1000 - 1
"""Milliseconds between the first and the last event of a batch, at most."""
OLDEST = 14 * 24 * 3600 * 1000
"""Milliseconds: CloudWatch refuses older events."""
NEWEST = 2 * 3600 * 1000
"""Milliseconds in the future: CloudWatch refuses later events."""
MARGIN = 60 * 1000
"""Milliseconds by which events must keep within both, since a call takes time and clocks differ."""


class LogEvent(NamedTuple):
    """One event. As a tuple, since many of them wait in memory."""

    time: int
    """Milliseconds since the epoch."""
    message: str
    size: int
    """Bytes that CloudWatch counts for it."""


LogEventBatch = tuple[LogEvent, ...]


@dataclass(frozen=True, slots=True)
class DividedEvents:
    """Events that are ready to be sent."""

    batches: tuple[LogEventBatch, ...]
    too_old: int = 0
    """Events that CloudWatch would refuse because of their age."""
    too_new: int = 0

    @property
    def refused(self) -> int:
        return self.too_old + self.too_new


def event(time: float, message: str) -> LogEvent:
    """Return an event. ``time``: seconds since the epoch. ``message``: within the limit."""
    return LogEvent(max(0, int(time * 1000)), message, len(message.encode()) + OVERHEAD)


def divided(events: Iterable[LogEvent], now: float) -> DividedEvents:
    """Divide the events of one stream into batches in time order. Events of one time keep their order.

    ``now``: seconds since the epoch.
    """
    moment = int(now * 1000)
    oldest, newest = moment - OLDEST + MARGIN, moment + NEWEST - MARGIN
    batches: list[LogEventBatch] = []
    current: list[LogEvent] = []
    size = too_old = too_new = 0
    for each in sorted(events, key=_time):
        if each.time < oldest:
            too_old += 1
            continue
        if each.time > newest:
            too_new += 1
            continue
        if current and not _fits(current, size, each):
            batches.append(tuple(current))
            current, size = [], 0
        current.append(each)
        size += each.size
    if current:
        batches.append(tuple(current))
    return DividedEvents(tuple(batches), too_old, too_new)


def _fits(batch: list[LogEvent], size: int, following: LogEvent) -> bool:
    return (
        len(batch) < BATCH_EVENTS
        and size + following.size <= BATCH
        and following.time - batch[0].time <= BATCH_SPAN
    )


def _time(each: LogEvent) -> int:
    return each.time
