"""The intake: it stores what waits at once, shows it to followers, and survives an archive that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive import intake as module
from gyrus.log_archive.archive import ArchiveError, ArchiveLimits, LogBatch
from gyrus.log_archive.intake import LogIntake
from gyrus.log_archive.segment import Segment
from gyrus.log_archive.segmented import SegmentedArchive
from support.log_archive import MemorySegments

REPLICA = "iris-1-aaaaa"


class Segments(MemorySegments):
    """A store that waits for its turn, and fails while it has a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.fault = ""
        self.turn = asyncio.Event()
        self.turn.set()
        self.writes: list[int] = []
        self.removed = asyncio.Event()

    @property
    def size(self) -> int:
        return sum(segment.size for segment, _ in self.kept.values())

    async def remove(self, segments: Sequence[Segment]) -> None:
        await super().remove(segments)
        self.removed.set()

    async def append(self, batches: Sequence[LogBatch]) -> None:
        await self.turn.wait()
        if self.fault:
            raise ArchiveError(self.fault)
        self.writes.append(len(batches))
        await super().append(batches)


def batch(number: int, message: str = "", api: str = "iris") -> LogBatch:
    line = LogLine(time=float(number), replica=REPLICA, message=message or str(number))
    return LogBatch(api=api, replica=REPLICA, source=str(number), number=number, lines=(line,))


@asynccontextmanager
async def running(segments: Segments, limits: ArchiveLimits | None = None) -> AsyncGenerator[LogIntake]:
    intake = LogIntake(SegmentedArchive(segments), limits or ArchiveLimits(age=1e12), SystemClock())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(intake.run(), name="intake")
        yield intake
        task.cancel()


async def read(intake: LogIntake) -> list[str]:
    return [line.message async for line in intake.read(LogQuery(api="iris"))]


async def test_batches_that_wait_are_stored_together() -> None:
    segments = Segments()
    async with running(segments) as intake:
        segments.turn.clear()
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(intake.add(batch(number)), name=f"batch {number}")
                await asyncio.sleep(0)
            segments.turn.set()
        assert len(segments.writes) <= 2
        assert await read(intake) == [str(number) for number in range(10)]
        assert intake.counts.lines == 10


async def test_an_archive_that_fails_is_logged_once_and_used_again(caplog: pytest.LogCaptureFixture) -> None:
    segments = Segments()
    caplog.set_level(logging.INFO, module.__name__)
    async with running(segments) as intake:
        segments.fault = "the disk is full"
        for number in range(3):
            with pytest.raises(ArchiveError, match="the disk is full"):
                await intake.add(batch(number))
        segments.fault = ""
        await intake.add(batch(4))
        assert await read(intake) == ["4"]
        assert (intake.counts.lines, intake.counts.failures) == (1, 3)
    assert [record.message for record in caplog.records] == [
        "Lines of replicas are not archived: the disk is full. Replicas go on, and keep some lines.",
        "The log archive stores lines again.",
    ]


async def test_followers_see_lines_of_their_api_stored_or_not() -> None:
    segments = Segments()
    async with running(segments) as intake:
        with intake.following("iris") as lines:
            await intake.add(batch(1))
            await intake.add(batch(2, api="wine"))
            segments.fault = "the disk is full"
            with pytest.raises(ArchiveError):
                await intake.add(batch(3))
            assert [(await lines.get()).message for _ in range(2)] == ["1", "3"]
            assert lines.empty()


async def test_a_follower_that_lags_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLLOWED", 3)
    async with running(Segments()) as intake:
        with intake.following("iris") as lines:
            for number in range(10):
                await intake.add(batch(number))
            assert [lines.get_nowait().message for _ in range(3)] == ["7", "8", "9"]


async def test_a_slow_archive_refuses_more_than_it_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1000)
    segments = Segments()
    async with running(segments) as intake:
        segments.turn.clear()
        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(_tried(intake, batch(number, "x" * 100)), name=f"batch {number}")
            await asyncio.sleep(0)
            with pytest.raises(ArchiveError, match="slower than its senders"):
                await intake.add(batch(99))
            segments.turn.set()
        await intake.add(batch(100))
        assert (await read(intake))[-1] == "100"


async def _tried(intake: LogIntake, batch: LogBatch) -> None:
    try:
        await intake.add(batch)
    except ArchiveError:
        pass


async def test_what_is_beyond_the_limits_is_swept_soon() -> None:
    segments = Segments()
    async with running(segments, ArchiveLimits(per_api=2000, total=10_000, age=1e12)) as intake:
        for number in range(100):
            await intake.add(batch(number, f"{number:0100}"))
        async with asyncio.timeout(10):
            while segments.size > 2000 * 9 / 8:
                await segments.removed.wait()
                segments.removed.clear()
        kept = await read(intake)
        assert 0 < len(kept) < 25
        assert kept[-1] == f"{99:0100}"


async def test_a_stop_fails_what_waits() -> None:
    segments = Segments()
    segments.turn.clear()
    async with asyncio.TaskGroup() as group:
        async with running(segments) as intake:
            waiting = group.create_task(_tried(intake, batch(1)), name="batch")
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await waiting
