"""Segments that move to a store of objects."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, ArchiveLimits, LogBatch
from gyrus.log_archive.folder import SegmentFolder
from gyrus.log_archive.segmented import SegmentedArchive
from gyrus.log_archive.tiered import OLD, TieredSegments
from gyrus.objects.errors import ObjectsUnreachable
from gyrus.objects.memory import MemoryObjects
from support.log_archive import MemorySegments

BASE = 1_800_000_000.0


def batch(at: float, message: str, api: str = "iris") -> LogBatch:
    replica = f"{api}-1-aaaaa"
    line = LogLine(time=BASE + at, replica=replica, message=message)
    return LogBatch(api=api, replica=replica, number=int(at), lines=(line,))


async def read(archive: SegmentedArchive, api: str = "iris") -> list[str]:
    return [line.message async for line in archive.read(LogQuery(api=api))]


async def test_old_segments_are_moved_and_read() -> None:
    near, objects = MemorySegments(), MemoryObjects()
    tiered = TieredSegments(near, objects)
    archive = SegmentedArchive(tiered)
    await archive.append([batch(0, "a ü"), batch(1, "b", "wine"), batch(OLD, "c")])
    assert await tiered.move_old(BASE + OLD + 10) == 2
    assert (len(near.kept), len(objects.kept)) == (1, 2)
    assert await read(archive) == ["a ü", "c"]
    assert await read(archive, "wine") == ["b"]
    assert await tiered.move_old(BASE + OLD + 10) == 0
    await archive.remove("iris")
    assert await read(archive) == []
    assert len(objects.kept) == 1
    assert await archive.sweep(ArchiveLimits(age=60.0), BASE + 10**9) == 0
    assert not objects.kept


async def test_a_segment_in_both_stores_counts_once() -> None:
    near, objects = MemorySegments(), MemoryObjects()
    tiered = TieredSegments(near, objects)
    await tiered.append([batch(0, "a")])
    before = dict(near.kept)
    await tiered.move_old(BASE + 2 * OLD)
    near.kept = before  # the operator was killed before it removed the segment
    assert await read(SegmentedArchive(tiered)) == ["a"]
    assert await tiered.move_old(BASE + 2 * OLD) == 1
    assert len(objects.kept) == 1


async def test_a_segment_that_moves_while_it_is_read_is_found() -> None:
    tiered = TieredSegments(MemorySegments(), MemoryObjects())
    await tiered.append([batch(0, "a")])
    (segment,) = await tiered.segments()
    await tiered.move_old(BASE + 2 * OLD)
    assert b'"a"' in (await tiered.content(segment)).data
    (moved,) = await tiered.segments()
    await tiered.remove([moved])
    assert (await tiered.content(moved)).data == b""


async def test_a_segment_that_grows_while_it_is_moved_loses_no_line(tmp_path: Path) -> None:
    objects = MemoryObjects()
    tiered = TieredSegments(SegmentFolder(tmp_path, reserve=0), objects)
    await tiered.append([batch(0, "a")])
    moving, store = asyncio.Event(), objects.put

    async def put(name: str, content: bytes | Path, *, create: bool = False) -> None:
        moving.set()
        await store(name, content, create=create)
        await tiered.append([batch(1, "b")])

    objects.put = put
    await tiered.move_old(BASE + 2 * OLD)
    assert moving.is_set()
    assert await read(SegmentedArchive(tiered)) == ["a", "b"]
    assert not objects.kept
    objects.put = store
    assert await tiered.move_old(BASE + 2 * OLD) == 1
    assert await read(SegmentedArchive(tiered)) == ["a", "b"]


async def test_a_damaged_object_is_reported() -> None:
    objects = MemoryObjects()
    tiered = TieredSegments(MemorySegments(), objects)
    await tiered.append([batch(0, "a")])
    await tiered.move_old(BASE + 2 * OLD)
    (name,) = objects.kept
    await objects.put(name, b"damaged")
    assert await read(SegmentedArchive(tiered)) == [
        "lines are missing here: a part of the log archive is damaged"
    ]


async def test_a_store_that_does_not_answer_is_an_error_of_the_archive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = MemoryObjects()
    tiered = TieredSegments(MemorySegments(), objects)
    await tiered.append([batch(0, "a")])

    async def refuse(*_arguments: object, **_named: object) -> None:
        raise ObjectsUnreachable("s3://b cannot be reached.")

    monkeypatch.setattr(objects, "put", refuse)
    with pytest.raises(ArchiveError, match=r"^s3://b cannot be reached$"):
        await tiered.move_old(BASE + 2 * OLD)
    assert await read(SegmentedArchive(tiered)) == ["a"]
