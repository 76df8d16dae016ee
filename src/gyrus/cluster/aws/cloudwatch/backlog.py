"""The events that wait to be sent: bounded, the oldest are dropped first, and every drop is counted."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from gyrus.cluster.aws.cloudwatch.events import LogEvent

MOST_BYTES = 16 * 2**20
"""Bytes of memory for events that wait."""
OWN_MEMORY = 250
"""Bytes of memory that an event takes beside its message, about."""


@dataclass(frozen=True, slots=True)
class TakenEvents:
    """Events to send, of one stream."""

    stream: str
    events: tuple[LogEvent, ...]
    dropped: int = 0
    """Events of the stream that were dropped before these."""


class EventBacklog:
    """A queue of the events of all streams. Not thread-safe."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.size = 0
        """Bytes of memory that the events take, about."""
        self._most = most
        self._events: deque[tuple[str, LogEvent]] = deque()
        self._dropped: Counter[str] = Counter()
        """By stream: events dropped since its last ones were taken."""

    def __len__(self) -> int:
        return len(self._events)

    def add(self, stream: str, events: Iterable[LogEvent]) -> Counter[str]:
        """Add events. Returns the number of dropped ones by stream, which may be other streams."""
        dropped: Counter[str] = Counter()
        for each in events:
            self._events.append((stream, each))
            self.size += _memory(each)
            while self.size > self._most:
                oldest, gone = self._events.popleft()
                self.size -= _memory(gone)
                dropped[oldest] += 1
        self._dropped.update(dropped)
        return dropped

    def take(self, most: int) -> list[TakenEvents]:
        """Remove and return the oldest events, of about so many bytes: at least one if there is any."""
        taken: defaultdict[str, list[LogEvent]] = defaultdict(list)
        while self._events and most > 0:
            stream, each = self._events.popleft()
            taken[stream].append(each)
            self.size -= _memory(each)
            most -= _memory(each)
        return [
            TakenEvents(stream, tuple(events), self._dropped.pop(stream, 0))
            for stream, events in taken.items()
        ]


def _memory(each: LogEvent) -> int:
    return each.size + OWN_MEMORY
