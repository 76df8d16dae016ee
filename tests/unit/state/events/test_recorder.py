"""Events reach the store soon, or are counted; their writers never notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board
from gyrus.state.errors import StorageFull
from gyrus.state.events import recorder as recorder_module
from gyrus.state.events.buffer import EventBuffer
from gyrus.state.events.recorder import AT_ONCE, EVERY, EventRecorder
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Event

NOTHING_LEFT_AFTER = 10.0
"""Seconds after which a batch that cannot be stored has been dropped."""


@dataclass(slots=True)
class Disk(MemoryStore):
    """It may be full, and it may be slow."""

    full: bool = False
    refuses: frozenset[str] = frozenset()
    """Messages of events that it cannot store."""
    attempts: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()

    async def record(self, *events: Event) -> tuple[Event, ...]:
        self.begun.set()
        await self.free.wait()
        self.attempts += 1
        if any(event.message in self.refuses for event in events):
            raise ValueError("what cannot be stored is among them")
        if self.full:
            raise StorageFull("the disk is full")
        return await super(Disk, self).record(*events)


@dataclass
class Stage:
    disk: Disk = field(default_factory=Disk)
    board: Board = field(default_factory=Board)
    clock: VirtualClock = field(default_factory=VirtualClock)
    recorder: EventRecorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = EventRecorder(self.disk, self.board, self.clock)

    async def deploy(self, *names: str) -> None:
        specs = [RealtimeSpec.model_validate({"name": name, "process": {"command": ["x"]}}) for name in names]
        await self.disk.deploy(specs, None, self.clock.now())

    def event(self, message: str, api: str = "iris") -> Event:
        return Event(api=api, time=self.clock.now(), type="normal", reason="R", message=message)

    def record(self, *messages: str, api: str = "iris") -> None:
        self.recorder.record(*(self.event(message, api) for message in messages))

    async def stored(self, api: str = "iris") -> list[tuple[str, int]]:
        """Messages and counts."""
        return [(event.message, event.count) for event in await self.disk.events(api, 1000)]


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    at = Stage()
    await at.deploy("iris", "other")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(at.recorder.run())
        await at.clock.settle()
        yield at
        task.cancel()


async def test_what_comes_within_a_moment_is_stored_together() -> None:
    async with stage() as at:
        at.record("a", "b")
        await at.clock.advance(EVERY * 0.9)
        at.record("c")
        assert await at.stored() == []
        await at.clock.advance(EVERY * 0.1)
        assert await at.stored() == [("a", 1), ("b", 1), ("c", 1)]


async def test_readers_are_notified_when_it_is_stored() -> None:
    async with stage() as at:
        with at.board.event_signals.listen() as listener:
            at.record("a")
            at.record("a", api="other")
            await at.clock.advance(EVERY)
            assert await listener.wait() == {"iris", "other"}
        assert len(await at.stored()) == 1


async def test_repetitions_are_one_event_with_a_new_id_each_time() -> None:
    async with stage() as at:
        ids: list[int] = []
        for count in (1, 4, 7):
            for _ in range(3 if count > 1 else 1):
                at.record("a")
            at.record(f"between {count}")
            await at.clock.advance(60)
            (repeated,) = [e for e in await at.disk.events("iris") if e.message == "a"]
            assert repeated.count == count
            ids.append(repeated.id or 0)
        assert ids == sorted(set(ids))
        assert repeated.first_time == repeated.time.replace(minute=0)


async def test_an_api_that_is_deployed_again_begins_at_one() -> None:
    async with stage() as at:
        at.record("a")
        await at.clock.advance(EVERY)
        await at.disk.mark_deleting("iris", at.clock.now())
        await at.disk.remove("iris")
        await at.deploy("iris")
        at.record("a")
        await at.clock.advance(EVERY)
        assert await at.stored() == [("a", 1)]


async def test_more_than_one_transactions_worth() -> None:
    async with stage() as at:
        messages = [str(number) for number in range(3 * AT_ONCE + 1)]
        at.record(*messages)
        await at.clock.advance(EVERY)
        assert await at.stored() == [(message, 1) for message in messages]


async def test_a_store_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async with stage() as at:
        at.disk.full = True
        at.record("a")
        await at.clock.advance(EVERY + 0.5)
        at.disk.full = False
        at.record("b")
        await at.clock.advance(NOTHING_LEFT_AFTER)
        assert await at.stored() == [("a", 1), ("b", 1)]
        assert "not stored yet: the disk is full" in caplog.text
        assert not at.board.dropped_events


async def test_what_cannot_be_stored_is_dropped_counted_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with stage() as at:
        at.disk.full = True
        for _ in range(2):
            at.record("a", "a", "b")
            at.record("c", api="other")
            await at.clock.advance(NOTHING_LEFT_AFTER)
        assert at.board.dropped_events == {"iris": 6, "other": 2}
        at.disk.full = False
        at.record("d")
        await at.clock.advance(EVERY)
        missing = "Events are missing here: they could not be stored"
        assert await at.stored() == [("d", 1), (missing, 6)]
        assert await at.stored("other") == [(missing, 2)]
        assert at.board.dropped_events == {"iris": 6, "other": 2}
        assert "8 events were dropped" in caplog.text
        at.record("e")
        await at.clock.advance(EVERY)
        assert (await at.stored())[-1] == ("e", 1)


async def test_only_the_events_at_fault_are_dropped() -> None:
    async with stage() as at:
        at.disk.refuses = frozenset({"7", "130"})
        messages = [str(number) for number in range(3 * AT_ONCE)]
        at.record(*messages)
        await at.clock.advance(NOTHING_LEFT_AFTER)
        kept = [message for message, _ in await at.stored() if message in messages]
        assert kept == [message for message in messages if message not in at.disk.refuses]
        assert at.board.dropped_events == {"iris": 2}


async def test_a_batch_that_cannot_be_stored_does_not_take_the_others_with_it() -> None:
    async with stage() as at:
        messages = [str(number) for number in range(3 * AT_ONCE)]
        at.disk.refuses = frozenset(messages[:AT_ONCE])
        at.record(*messages)
        await at.clock.advance(NOTHING_LEFT_AFTER)
        assert [message for message, _ in await at.stored()][: 2 * AT_ONCE] == messages[AT_ONCE:]
        assert at.board.dropped_events == {"iris": AT_ONCE}


async def test_a_store_that_stores_nothing_is_tried_a_limited_number_of_times() -> None:
    async with stage() as at:
        at.disk.full = True
        at.record(*map(str, range(10 * AT_ONCE)))
        await at.clock.advance(EVERY + 4)
        assert at.board.dropped_events == {"iris": 10 * AT_ONCE}
        assert at.disk.attempts < 70


async def test_what_is_deleted_is_forgotten() -> None:
    async with stage() as at:
        at.disk.full = True
        at.record("a")
        at.record("b", api="other")
        await at.clock.advance(NOTHING_LEFT_AFTER)
        at.recorder.forget_others({"other"})
        assert at.board.dropped_events == {"other": 1}


async def test_a_fault_of_the_store_is_no_fault_of_a_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as at:

        async def broken(*events: Event) -> tuple[Event, ...]:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(Disk, "record", broken)
            at.record("a")
            await at.clock.advance(NOTHING_LEFT_AFTER)
        at.record("b")
        await at.clock.advance(EVERY)
        assert ("b", 1) in await at.stored()


async def test_too_many_at_once_displace_the_oldest() -> None:
    async with stage() as at:
        at.recorder.buffer = EventBuffer(most_of_one=3)
        at.record(*"abcde")
        at.record("f", api="other")
        assert at.board.dropped_events == {"iris": 2}
        await at.clock.advance(2 * EVERY)
        assert [message for message, _ in await at.stored()][:1] == ["d"]
        assert at.board.dropped_events["other"] == 0
        assert await at.stored("other") == [("f", 1)]


async def test_flushed_waits_for_what_was_recorded_before() -> None:
    async with stage() as at:
        await at.recorder.flushed()  # nothing waits
        at.record("a")
        flushed = asyncio.create_task(at.recorder.flushed())
        at.disk.free.clear()
        await at.clock.advance(EVERY)
        at.record("b")  # of the next round
        assert not flushed.done()
        at.disk.free.set()
        await at.clock.settle()
        assert flushed.done()
        assert await at.stored() == [("a", 1)]


async def test_flushed_returns_when_events_are_dropped() -> None:
    async with stage() as at:
        at.disk.full = True
        at.record("a")
        flushed = asyncio.create_task(at.recorder.flushed())
        await at.clock.advance(NOTHING_LEFT_AFTER)
        assert flushed.done()


class TestTheEnd:
    async def ended(self, at: Stage) -> None:
        """Cancel it as soon as it has begun to write, and wait for its end."""
        run = asyncio.create_task(at.recorder.run())
        await at.clock.settle()
        at.record("late")
        run.cancel()
        async with asyncio.timeout(10):
            with suppress(asyncio.CancelledError):
                await run

    async def test_what_waits_is_stored(self) -> None:
        at = Stage()
        await at.deploy("iris")
        await self.ended(at)
        assert await at.stored() == [("late", 1)]

    async def test_what_cannot_be_stored_delays_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        at = Stage(Disk(full=True))
        await at.deploy("iris")
        await self.ended(at)  # in virtual time that stands still: it waits for no back-off
        assert at.board.dropped_events == {"iris": 1}
        assert "not stored yet: the disk is full" in caplog.text

    async def test_a_store_that_hangs_is_waited_for_only_so_long(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(recorder_module, "LAST_WRITE", 0.05)
        at = Stage()
        await at.deploy("iris")
        at.disk.free.clear()
        with caplog.at_level(logging.WARNING):
            await self.ended(at)
        assert "1 events were dropped: the operator has ended" in caplog.text

    async def test_a_transaction_that_is_under_way_is_neither_cut_short_nor_repeated(self) -> None:
        at = Stage()
        await at.deploy("iris")
        at.disk.free.clear()
        run = asyncio.create_task(at.recorder.run())
        at.record("a")
        await at.clock.advance(EVERY)
        await at.disk.begun.wait()
        run.cancel()
        await at.clock.settle()
        assert not run.done()
        at.disk.free.set()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await at.stored() == [("a", 1)]

    async def test_cancelled_again_it_ends_at_once(self) -> None:
        at = Stage()
        await at.deploy("iris")
        at.disk.free.clear()
        run = asyncio.create_task(at.recorder.run())
        at.record("a")
        await at.clock.advance(EVERY)
        for _ in range(2):
            run.cancel()
            await at.clock.settle()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await run
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("events")]
        assert left == []


async def test_many_writers_lose_nothing_to_each_other() -> None:
    """Whatever the store does meanwhile, each occurrence is stored or counted."""
    async with stage() as at:
        for second in range(40):
            at.disk.full = second % 7 in (3, 4, 5)
            at.record(*(f"{second % 3}-{number % 4}" for number in range(6)))
            await at.clock.advance(1)
        at.disk.full = False
        at.record("last")
        await at.clock.advance(NOTHING_LEFT_AFTER)
        stored = await at.disk.events("iris", 1000)
        recorded = sum(e.count for e in stored if e.reason == "R")
        missing = sum(e.count for e in stored if e.reason != "R")
        assert missing == at.board.dropped_events["iris"]
        assert recorded + missing == 40 * 6 + 1
