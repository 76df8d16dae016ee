"""Repetitions of an event become one event with a count, as in Kubernetes. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gyrus.state.records import Event

WINDOW = timedelta(minutes=10)
"""Longest time since the latest occurrence within which an event counts as a repetition."""

REMEMBERED = 10_000
"""Stored events that later ones may repeat. Those that happened longest ago are forgotten first."""

MILESTONES = frozenset({"Deployed", "RolledBack", "Refreshed", "RolloutDone", "RolloutFailed", "Deleted"})
"""Reasons of events that are never repetitions, although their texts may be equal: a user's acts and their
results. An API that is live again after a rollback is not live for the second time since its deploy."""

Key = tuple[str, str, str, str, str | None, datetime | None]


def key(event: Event) -> Key:
    """Return the part of an event that its repetitions share. A milestone's includes its time."""
    time = event.time if event.reason in MILESTONES else None
    return event.api, event.type, event.reason, event.message, event.replica, time


def fold(earlier: Event, later: Event) -> Event:
    """Return the later event with the occurrences of both."""
    first_time = earlier.first_time or earlier.time
    return replace(later, count=earlier.count + later.count, first_time=first_time)


def combine_repetitions(events: Iterable[Event], stored: Mapping[int, Event]) -> list[Event]:
    """Fold each event that has the id of a stored event with that one. The results have no id."""
    left = dict(stored)
    combined: list[Event] = []
    for event in events:
        earlier = left.pop(event.id, None) if event.id else None  # each stored count is added only once
        combined.append(replace(fold(earlier, event) if earlier else event, id=None))
    return combined


@dataclass(slots=True)
class StoredEvents:
    """The events that were stored lately, so that a repetition can name the event that it repeats."""

    _ids: OrderedDict[Key, Event] = field(default_factory=OrderedDict[Key, Event])

    def named(self, event: Event) -> Event:
        """Return the event with the id of the stored event that it repeats, or unchanged if there is none."""
        earlier = self._ids.get(key(event))
        if earlier is None or event.time - earlier.time > WINDOW:
            return event
        return replace(event, id=earlier.id)

    def remember(self, stored: Iterable[Event]) -> None:
        for event in stored:
            self._ids[key(event)] = event
            self._ids.move_to_end(key(event))
        while len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
