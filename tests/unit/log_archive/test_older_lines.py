"""Lines of the archive, and before them those that an export still has."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, ArchiveLimits, LogBatch
from gyrus.log_archive.older_lines import read_with_older
from gyrus.log_archive.segmented import SegmentedArchive
from support.log_archive import MemorySegments


def line(time: float, message: str = "") -> LogLine:
    return LogLine(time=time, replica="iris-1", message=message or f"at {time:g}")


@dataclass
class ExportOf:
    """Implements :class:`gyrus.log_archive.export.LogExport`."""

    lines: list[LogLine] = field(default_factory=list[LogLine])
    fails: bool = False
    asked: int = 0

    def offer(self, batch: LogBatch) -> None:
        self.lines.extend(batch.lines)

    async def read(self, query: LogQuery, until: float) -> AsyncGenerator[LogLine]:
        self.asked += 1
        since = query.since or 0.0
        found = sorted((each for each in self.lines if since <= each.time < until), key=lambda e: e.time)
        for each in found if query.tail is None else found[max(0, len(found) - query.tail) :]:
            yield each
        if self.fails:
            raise ArchiveError("CloudWatch cannot be read: it is busy")


async def archive_of(batches: Sequence[Sequence[LogLine]], kept: int) -> SegmentedArchive:
    """An archive that had these batches, and has the newest ones of them still."""
    archive = SegmentedArchive(MemorySegments())
    for number, lines in enumerate(batches):
        await archive.append([LogBatch(api="iris", replica="iris-1", number=number, lines=tuple(lines))])
    newest = sorted(lines[-1].time for lines in batches)[len(batches) - kept :]
    oldest = newest[0] if newest else float("inf")
    await archive.sweep(ArchiveLimits(age=0.0), min(oldest, 1e12))
    return archive


async def read(
    archive: SegmentedArchive, export: ExportOf, since: float = 0.0, tail: int | None = None
) -> list[LogLine]:
    asked = LogQuery(api="iris", since=since, tail=tail)
    async with aclosing(read_with_older(archive, export, asked)) as lines:
        return [each async for each in lines]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
async def test_each_line_is_shown_once_in_time_order_whatever_the_archive_has_removed(
    sizes: list[int], data: st.DataObject
) -> None:
    times = iter(range(1, 100))
    batches = [[line(float(next(times))) for _ in range(size)] for size in sizes]
    lines = [each for batch in batches for each in batch]
    archive = await archive_of(batches, data.draw(st.integers(0, len(batches))))
    since = data.draw(st.integers(0, len(lines) + 1))
    tail = data.draw(st.none() | st.integers(0, len(lines) + 1))
    expected = [each for each in lines if each.time >= since]
    found = await read(archive, ExportOf(list(lines)), since=float(since), tail=tail)
    assert found == (expected if tail is None else expected[max(0, len(expected) - tail) :])


async def test_the_export_is_not_asked_for_what_the_archive_has() -> None:
    archive, export = await archive_of([[line(1.0)], [line(2.0)], [line(3.0)]], 2), ExportOf()
    assert [each.time for each in await read(archive, export, since=2.0)] == [2.0, 3.0]
    assert [each.time for each in await read(archive, export, tail=2)] == [2.0, 3.0]
    assert export.asked == 0


async def test_an_export_that_fails_is_reported_and_the_archive_is_shown() -> None:
    archive = await archive_of([[line(1.0)], [line(2.0)]], 1)
    found = await read(archive, ExportOf([line(1.0)], fails=True))
    assert [(each.message, each.level) for each in found] == [
        ("at 1", None),
        ("older lines cannot be read now: CloudWatch cannot be read: it is busy", "warning"),
        ("at 2", None),
    ]


@pytest.mark.parametrize("tail", [None, 5])
async def test_equal_lines_are_shown_as_often_as_they_were_written(tail: int | None) -> None:
    batches = [[line(1.0, "same"), line(1.0, "same")], [line(1.0, "same")]]
    archive = await archive_of(batches, 2)
    found = await read(archive, ExportOf([each for batch in batches for each in batch]), tail=tail)
    assert len(found) == 3
