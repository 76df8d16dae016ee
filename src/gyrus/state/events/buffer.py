"""Events that wait to be written: folded, in order, and bounded. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from gyrus.state.events.folding import Key, fold, key
from gyrus.state.records import Event

MOST = 20_000
"""Waiting events of all APIs together: some 20 MB."""

MOST_OF_ONE = 1_000
"""Waiting events of one API: as many as the store keeps of it."""


@dataclass(slots=True)
class EventBuffer:
    """Events by API, oldest first; a repetition moves to the end.

    At the limit, an API's newest event displaces that API's oldest one, so that an API in trouble costs no
    other API its events.
    """

    most: int = MOST
    most_of_one: int = MOST_OF_ONE
    _waiting: dict[str, dict[Key, Event]] = field(default_factory=dict[str, dict[Key, Event]])
    _size: int = 0

    def __len__(self) -> int:
        """Return the number of waiting events. Repetitions count once."""
        return self._size

    def add(self, event: Event) -> Event | None:
        """Add this event. Returns the event that it displaces, or None."""
        own = self._waiting.setdefault(event.api, {})
        if earlier := own.pop(key(event), None):
            own[key(event)] = fold(earlier, event)
            return None
        if len(own) < self.most_of_one and self._size < self.most:
            own[key(event)] = event
            self._size += 1
            return None
        if not own:
            return event
        oldest = own.pop(next(iter(own)))
        own[key(event)] = event
        return oldest

    def take(self) -> tuple[Event, ...]:
        """Remove and return all events. Those of one API are ordered by their latest occurrence."""
        taken = tuple(chain.from_iterable(own.values() for own in self._waiting.values()))
        self._waiting, self._size = {}, 0
        return taken
