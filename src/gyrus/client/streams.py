"""An operator's streams: changes of APIs, rollouts, events, log lines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from gyrus.client.errors import OperatorUnreachable, StillWaiting, UnknownApi
from gyrus.client.events import EventReader, ServerEvent
from gyrus.client.rollout import RolloutProgress, find_rollout
from gyrus.client.transport import Transport, api_path
from gyrus.contract.operator import (
    ApiChanges,
    ApiDescription,
    ApiView,
    EventView,
    LogLine,
    LogQuery,
    RevisionView,
)

PATIENCE = 30.0
"""Seconds that a watch survives without the operator, which may be restarting."""
MOST_EVENTS = 1000
"""Events that the operator keeps for each API."""
OVERLAP = 5.0
"""Seconds of log lines to read again after a broken stream, since replicas' lines come out of order."""
PAUSE = 0.5
"""Seconds between attempts to reach the operator again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A watched API has been deleted."""

    name: str


class _Followed:
    """The events that a follower has: all up to an id, or, from an operator without ids, a list of them."""

    def __init__(self, given: Sequence[EventView]) -> None:
        self.last = 0
        self._given: Sequence[EventView] = ()
        self._add(given)

    def since(self, asked: float | None) -> float | None:
        """Return where to go on without ids."""
        if self.last:
            return None
        return datetime.fromisoformat(self._given[-1].time).timestamp() if self._given else asked

    def new(self, events: Iterable[EventView]) -> Sequence[EventView]:
        new = [event for event in events if event.id > self.last or not (event.id or event in self._given)]
        self._add(new)
        return new

    def _add(self, events: Sequence[EventView]) -> None:
        self.last = max([self.last, *(event.id for event in events)])
        self._given = [] if self.last else [*self._given, *events][-MOST_EVENTS:]


class _SeenLines:
    """The newest log lines of a follower, so that the next stream begins where the last one ended."""

    def __init__(self, query: LogQuery) -> None:
        self._query = query
        self._newest = 0.0
        self._recent: list[LogLine] = []
        self._before: Sequence[LogLine] = ()
        """The recent lines of earlier streams."""

    def next_query(self) -> LogQuery:
        """Return the query of the next stream."""
        self._before = tuple(self._recent)
        if not self._newest:
            return self._query
        return replace(self._query, since=self._newest - OVERLAP, tail=None)

    def is_new(self, line: LogLine) -> bool:
        """Take a line. Returns False if an earlier stream had it."""
        if line in self._before:
            return False
        self._newest = max(self._newest, line.time)
        self._recent = [each for each in (*self._recent, line) if each.time >= self._newest - OVERLAP]
        return True


class Streams:
    """The streams of one operator."""

    def __init__(self, operator: Transport) -> None:
        self._operator = operator

    def apis(self, names: Sequence[str], seconds: float | None) -> Iterator[ApiDescription | Gone]:
        for event in self._events([("name", name) for name in names], seconds):
            if event.type == "api":
                yield self._operator.read(event.data, ApiDescription)
            elif event.type == "gone":
                yield self._operator.read(event.data, Gone)

    def lists(self, seconds: float | None) -> Iterator[list[ApiView]]:
        known: dict[str, ApiView] = {}
        for event in self._events([("changes", "true")], seconds):
            if event.type == "apis":
                known = {api.name: api for api in self._operator.read(event.data, list[ApiView])}
            elif event.type == "changes":
                known = _merged(known, self._operator.read(event.data, ApiChanges))
            else:
                continue
            yield [known[name] for name in sorted(known)]

    def rollouts(self, awaited: Mapping[str, int], seconds: float | None) -> Iterator[RolloutProgress]:
        pending = dict(awaited)
        for seen in self.apis(tuple(awaited), seconds):
            name = seen.name if isinstance(seen, Gone) else seen.api.name
            if name not in pending:
                continue
            progress = self._progress(name, pending[name], None if isinstance(seen, Gone) else seen)
            if progress.ended:
                del pending[name]
            yield progress
            if not pending:
                return
        raise StillWaiting(tuple(pending), seconds or 0)

    def follow_events(self, name: str, since: float | None, limit: int) -> Iterator[EventView]:
        """Each event once: those of the past are read now, and the others as they happen."""
        newest = self.events(name, None, 1)  # `since` and `limit` may hide where to go on
        past = self.events(name, since, limit)
        return chain(past, self._new_events(name, since, _Followed([*newest, *past])))

    def _new_events(self, name: str, since: float | None, followed: _Followed) -> Iterator[EventView]:
        """Ask for events after the last one's id whenever a watch shows a change."""
        for seen in self.apis([name], None):
            if isinstance(seen, Gone):
                return
            try:
                events = self.events(name, followed.since(since), MOST_EVENTS, followed.last)
            except UnknownApi:
                return
            yield from followed.new(events)

    def events(self, name: str, since: float | None, limit: int, after: int = 0) -> list[EventView]:
        query = {"limit": str(limit)}
        query |= {} if since is None else {"since": repr(since)}
        query |= {"after": str(after)} if after else {}
        return self._operator.get(f"{api_path(name)}/events", list[EventView], **query)

    def logs(self, query: LogQuery) -> Iterator[LogLine]:
        """Yield the lines. To follow ends when the API is deleted, and goes on after a broken stream."""
        if query.follow:
            yield from self._followed_lines(query)
            return
        for lines in self._lines(query):
            yield from lines

    def _followed_lines(self, query: LogQuery) -> Iterator[LogLine]:
        """Ask again whenever a stream ends. The answer has the reason if the operator ended it."""
        seen = _SeenLines(query)
        heard: float | None = None
        while True:
            try:
                for lines in self._lines(seen.next_query()):
                    heard = time.monotonic()
                    yield from filter(seen.is_new, lines)
                heard = time.monotonic()
            except UnknownApi:
                if heard is None:
                    raise
                return
            except OperatorUnreachable:
                if heard is None or time.monotonic() - heard > PATIENCE:
                    raise
            _pause(None)

    def _lines(self, query: LogQuery) -> Iterator[list[LogLine]]:
        """Yield the lines of each chunk, none for a sign of life."""
        rest = b""
        with self._operator.stream(f"{api_path(query.api)}/logs", _log_fields(query)) as chunks:
            for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                yield [self._operator.read(line, LogLine) for line in lines if line]

    def _progress(self, name: str, generation: int, description: ApiDescription | None) -> RolloutProgress:
        rollout = description.rollout if description else None
        if rollout is not None and rollout.generation != generation:
            # A newer rollout has started: the outcome of the awaited one is in the history.
            try:
                revisions = self._operator.get(f"{api_path(name)}/revisions", list[RevisionView])
            except UnknownApi:
                description, revisions = None, []
            rollout = find_rollout(generation, revisions)
        return RolloutProgress(name=name, generation=generation, description=description, rollout=rollout)

    def _events(self, query: Sequence[tuple[str, str]], seconds: float | None) -> Iterator[ServerEvent]:
        """Yield events until the time is up.

        A broken watch starts again, since a watch begins with the state.
        """
        end = None if seconds is None else time.monotonic() + seconds
        heard: float | None = None
        while end is None or time.monotonic() < end:
            try:
                with self._operator.stream("/watch", query, end and end - time.monotonic()) as chunks:
                    reader = EventReader()
                    for chunk in chunks:
                        heard = time.monotonic()
                        yield from reader.feed(chunk)
            except OperatorUnreachable:
                if heard is None or time.monotonic() - heard > PATIENCE:
                    raise
            _pause(end)


def _merged(known: Mapping[str, ApiView], changes: ApiChanges) -> dict[str, ApiView]:
    kept = {name: api for name, api in known.items() if name not in changes.gone}
    return kept | {api.name: api for api in changes.apis}


def _pause(end: float | None) -> None:
    left = PAUSE if end is None else min(PAUSE, end - time.monotonic())
    if left > 0:
        time.sleep(left)


def _log_fields(query: LogQuery) -> list[tuple[str, str]]:
    asked = {
        "replica": query.replica,
        "since": None if query.since is None else repr(query.since),
        "follow": "true" if query.follow else None,
        "previous": "true" if query.previous else None,
        "tail": None if query.tail is None else str(query.tail),
    }
    return [(name, value) for name, value in asked.items() if value is not None]
