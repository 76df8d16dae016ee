"""The recorder of events: it writes them to the store in batches, and their writers never wait."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.tasks import first_of
from gyrus.state.board import Board
from gyrus.state.events.buffer import EventBuffer
from gyrus.state.events.folding import StoredEvents
from gyrus.state.records import Event

log = logging.getLogger(__name__)

EVERY = 0.2
"""Seconds between an event and the transaction that stores it, with all events recorded meanwhile."""

AT_ONCE = 100
"""Most events of one transaction. A deploy waits for at most one such transaction, some 5 ms."""

TRIES = 5
RETRY = Backoff(0.2, 2)
"""Delays between attempts to store the first batch that fails, 3 s in all. Later ones of its round are tried
only once."""

SPLITS = 20
"""Most failed batches of one round that are split, so that only the events at fault are dropped. Seven splits
find one event among 100."""

LAST_WRITE = 2.0
"""Seconds to store the last batches when the operator ends."""

DROPPED = "EventsDropped"

EventBatch = tuple[Event, ...]


class EventStore(Protocol):
    """The part of a store that the recorder needs: :meth:`gyrus.state.store.Store.record`."""

    async def record(self, *events: Event) -> tuple[Event, ...]: ...


@dataclass(slots=True)
class EventRecorder:
    """Accepts events at once, and stores them soon. It drops, counts and reports those that it cannot store.

    Not thread-safe: one event loop owns it.
    """

    store: EventStore
    board: Board
    clock: Clock
    every: float = EVERY
    buffer: EventBuffer = field(default_factory=EventBuffer)
    _stored: StoredEvents = field(default_factory=StoredEvents)
    _unreported: Counter[str] = field(default_factory=Counter[str])
    """By API: events dropped since the last event that reported dropped events."""
    _waiting: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    _round_ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the end of the present round, then replaced: every round has its own."""
    _begun: int = 0
    """Number of rounds begun. A round takes all waiting events, and stores or drops them."""
    _ended: int = 0
    """Number of rounds ended."""
    _left: deque[EventBatch] = field(default_factory=deque[EventBatch])
    """Batches of the present round that are neither stored nor dropped yet, oldest first."""

    def record(self, *events: Event) -> None:
        """Accept these events. Never waits, never raises."""
        for event in events:
            if displaced := self.buffer.add(event):
                self._drop([displaced])
        if self.buffer:
            self._waiting.set()

    async def flushed(self) -> None:
        """Wait until all events that were recorded before this call are stored or dropped."""
        # Events in the buffer belong to the next round. Without any, the present round (if one is running)
        # has all that was recorded before.
        awaited = self._begun + bool(self.buffer)
        while self._ended < awaited:
            await self._round_ended.wait()

    def forget_others(self, apis: Collection[str]) -> None:
        """Forget the counts of dropped events of all APIs but these."""
        for api in self.board.dropped_events.keys() - apis:
            del self.board.dropped_events[api]

    async def run(self) -> None:
        """Store events until cancelled, and then the remaining ones, for at most ``LAST_WRITE`` seconds."""
        writing = asyncio.create_task(self._write_until_closed(), name="events: write")
        try:
            # Cancelling a transaction in the middle would leave it unknown whether its events are stored.
            await asyncio.shield(writing)
        finally:
            self._closing.set()
            await self._end(writing)

    # Rounds

    async def _write_until_closed(self) -> None:
        while self.buffer or not self._closing.is_set():
            await self._unless_closing(self._waiting.wait())
            await self._unless_closing(self.clock.sleep(self.every))
            self._begin_round()
            try:
                await self._write_round()
            except Exception as error:  # the next round goes on with what is left
                log.error("Events could not be stored: %s", error, exc_info=error)
            self._end_round()

    def _begin_round(self) -> None:
        self._report_dropped()  # before the buffer is taken, so that the report is part of this round
        self._waiting.clear()
        events = self.buffer.take()
        self._left.extend(events[at : at + AT_ONCE] for at in range(0, len(events), AT_ONCE))
        self._begun += 1

    async def _write_round(self) -> None:
        """Store all batches. Split the first ones that fail, since the fault may be that of one event."""
        failures = 0
        while self._left:
            batch = self._left[0]
            stored = await self._stores(batch, 1 if failures else TRIES)
            self._left.popleft()
            if stored:
                continue
            failures += 1
            if len(batch) > 1 and failures <= SPLITS:
                half = len(batch) // 2
                self._left.extendleft((batch[half:], batch[:half]))
            else:
                self._drop(batch)

    def _end_round(self) -> None:
        self._ended = self._begun
        self._round_ended.set()
        self._round_ended = asyncio.Event()

    async def _stores(self, batch: EventBatch, attempts: int) -> bool:
        """Store these events. Returns False if all attempts failed.

        Only one attempt is made once the recorder is closing.
        """
        for attempt in range(attempts):
            if attempt and self._closing.is_set():
                break
            if attempt:
                await self._unless_closing(self.clock.sleep(RETRY.delay(attempt - 1)))
            try:
                stored = await self.store.record(*map(self._stored.named, batch))
            except Exception as error:  # losing events is better than ending the operator
                if attempts > 1 and not attempt:  # once in a round
                    log.warning("%d events are not stored yet: %s", len(batch), error, exc_info=True)
            else:
                self._stored.remember(stored)
                self.board.event_signals.notify(*{event.api for event in stored})
                return True
        return False

    # Dropping

    def _drop(self, events: Iterable[Event]) -> None:
        for event in events:
            self._unreported[event.api] += event.count
            if event.reason != DROPPED:  # the events that this one reports are counted already
                self.board.dropped_events[event.api] += event.count

    def _report_dropped(self) -> None:
        """Record the number of missing events. If that event is dropped too, the next one adds its count."""
        dropped, self._unreported = self._unreported, Counter[str]()
        if dropped:
            log.warning("%d events were dropped", dropped.total())
        now, message = self.clock.now(), "Events are missing here: they could not be stored"
        for api, count in dropped.items():
            self.record(
                Event(api=api, time=now, type="warning", reason=DROPPED, message=message, count=count)
            )

    # The end

    async def _unless_closing(self, body: Coroutine[Any, Any, object]) -> None:
        await first_of(body, self._closing.wait())

    async def _end(self, writing: asyncio.Task[None]) -> None:
        """Wait until the remaining events are stored, for ``LAST_WRITE`` at most or until cancelled again."""
        try:
            await asyncio.wait([writing], timeout=LAST_WRITE)
        finally:
            writing.cancel()
            await asyncio.wait([writing], timeout=1)
            if lost := sum(map(len, self._left)) + len(self.buffer):
                log.warning("%d events were dropped: the operator has ended", lost)
