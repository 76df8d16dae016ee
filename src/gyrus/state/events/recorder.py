"""Writes events to the store, a batch at a time, while their writers go on."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Iterable
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
"""Seconds between an event and the transaction that stores it, together with all that came meanwhile."""

AT_ONCE = 100
"""Events of one transaction: a deploy waits for one such transaction at most, some 5 ms."""

TRIES = 5
RETRY = Backoff(0.2, 2)
"""Between tries to store a batch: it is dropped after 3 s."""

FAREWELL = 2.0
"""Seconds for the last batches when the operator ends."""

DROPPED = "EventsDropped"


class EventStore(Protocol):
    """See :meth:`gyrus.state.store.Store.record`."""

    async def record(self, *events: Event) -> tuple[Event, ...]: ...


@dataclass(slots=True)
class EventRecorder:
    """Takes events at once, and stores them soon. What it cannot store it drops, counts and reports.

    Not thread-safe: one event loop owns it.
    """

    store: EventStore
    board: Board
    clock: Clock
    every: float = EVERY
    buffer: EventBuffer = field(default_factory=EventBuffer)
    _stored: StoredEvents = field(default_factory=StoredEvents)
    _unreported: Counter[str] = field(default_factory=Counter[str])
    """By API: events that were dropped since that was last reported by an event."""
    _waiting: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    _round_ended: asyncio.Event = field(default_factory=asyncio.Event)
    """The present round's; every round has its own."""
    _begun: int = 0
    _ended: int = 0
    """Rounds: each takes all that waits, and stores or drops it."""
    _left: tuple[Event, ...] = ()
    """The events of the present round that are not stored yet."""

    def record(self, *events: Event) -> None:
        """Take these events. Never waits, never raises."""
        for event in events:
            if displaced := self.buffer.add(event):
                self._drop([displaced])
        if self.buffer:
            self._waiting.set()

    async def flushed(self) -> None:
        """Return once all that was recorded before this call is stored or dropped."""
        awaited = self._begun + bool(self.buffer)
        while self._ended < awaited:
            await self._round_ended.wait()

    async def run(self) -> None:
        """Store events until cancelled, and then those that are left, for at most ``FAREWELL`` seconds."""
        writing = asyncio.create_task(self._write_until_closed(), name="events: write")
        try:
            await asyncio.shield(writing)  # a transaction that is cut short may be stored all the same
        finally:
            self._closing.set()
            await self._end(writing)

    # Rounds

    async def _write_until_closed(self) -> None:
        while self.buffer or not self._closing.is_set():
            await self._unless_closing(self._waiting.wait())
            await self._unless_closing(self.clock.sleep(self.every))
            self._begin_round()
            await self._write_round()
            self._end_round()

    def _begin_round(self) -> None:
        self._report_dropped()
        self._waiting.clear()
        self._left = self.buffer.take()
        self._begun += 1

    async def _write_round(self) -> None:
        while self._left:
            batch = self._left[:AT_ONCE]
            if not await self._stores(batch):
                break
            self._left = self._left[len(batch) :]

    def _end_round(self) -> None:
        self._drop(self._left)
        self._left = ()
        self._ended = self._begun
        self._round_ended.set()
        self._round_ended = asyncio.Event()

    async def _stores(self, batch: tuple[Event, ...]) -> bool:
        """Store these events, at the second or third try if need be. Returns False if it cannot be done."""
        for tries in range(1 if self._closing.is_set() else TRIES):
            try:
                stored = await self.store.record(*map(self._stored.named, batch))
            except Exception as error:  # a writer of events must never suffer from them
                if not tries:
                    log.warning("%d events are not stored yet: %s", len(batch), error, exc_info=True)
                await self._unless_closing(self.clock.sleep(RETRY.delay(tries)))
            else:
                self._stored.remember(stored)
                self.board.event_signals.notify(*{event.api for event in stored})
                return True
        return False

    # Dropping

    def _drop(self, events: Iterable[Event]) -> None:
        for event in events:
            self._unreported[event.api] += event.count
            if event.reason != DROPPED:  # the events that this one stands for are counted already
                self.board.dropped_events[event.api] += event.count

    def _report_dropped(self) -> None:
        """Record how many events are missing. If that event is dropped too, the next one counts them."""
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
        """Let it store what is left. After a while, or when cancelled again, drop that."""
        try:
            await asyncio.wait([writing], timeout=FAREWELL)
        finally:
            writing.cancel()
            await asyncio.wait([writing], timeout=1)
            if lost := len(self._left) + len(self.buffer):
                log.warning("%d events were dropped: the operator has ended", lost)
