"""Events that wait to be written: folded, in order, and never too many. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from gyrus.state.events.folding import Key, fold, key
from gyrus.state.records import Event

MOST = 20_000
"""Events that wait, of all APIs together: some 20 MB."""

MOST_OF_ONE = 1_000
"""Events of one API that wait: as many as the store keeps of it."""


@dataclass(slots=True)
class EventBuffer:
    """Events by API, oldest first; a repetition moves to the end.

    Where there are too many, an API's newest event displaces its own oldest one, so that an API in trouble
    costs no other API its events.
    """

    most: int = MOST
    most_of_one: int = MOST_OF_ONE
    _waiting: dict[str, dict[Key, Event]] = field(default_factory=dict[str, dict[Key, Event]])
    _size: int = 0

    def __len__(self) -> int:
        """Return how many events wait; repetitions count once."""
        return self._size

    def add(self, event: Event) -> Event | None:
        """Let this event wait. Returns the event that has no place any more, or None."""
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
        """Remove and return all events. Those of one API are in the order in which they happened last."""
        taken = tuple(chain.from_iterable(own.values() for own in self._waiting.values()))
        self._waiting, self._size = {}, 0
        return taken
