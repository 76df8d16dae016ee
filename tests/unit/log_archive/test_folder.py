"""The folder of segments: killed writers, damage, a full disk, and what earlier operators left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, ArchiveFull, LogBatch
from gyrus.log_archive.folder import SegmentFolder
from gyrus.log_archive.segmented import SegmentedArchive
from support.small_disk import small_disk

REPLICA = "iris-1-aaaaa"
DAMAGED = "lines are missing here: a part of the log archive is damaged"


def batch(number: int, *messages: str) -> LogBatch:
    lines = tuple(LogLine(time=float(number), replica=REPLICA, message=message) for message in messages)
    return LogBatch(api="iris", replica=REPLICA, number=number, lines=lines)


def archive(folder: Path) -> SegmentedArchive:
    return SegmentedArchive(SegmentFolder(folder, reserve=0))


async def read(folder: Path) -> list[str]:
    return [line.message async for line in archive(folder).read(LogQuery(api="iris"))]


def only_file(folder: Path) -> Path:
    (file,) = (folder / "iris").iterdir()
    return file


@pytest.mark.parametrize("lost", [1, 20, 60])
async def test_a_batch_that_was_cut_off_is_not_read_and_is_stored_again(tmp_path: Path, lost: int) -> None:
    first = archive(tmp_path)
    await first.append([batch(1, "whole")])
    await first.append([batch(2, "cut", "off")])
    file = only_file(tmp_path)
    os.truncate(file, file.stat().st_size - lost)
    assert await read(tmp_path) == ["whole"]
    after = archive(tmp_path)
    assert await after.last_batch("iris", REPLICA) == 1
    await after.append([batch(2, "cut", "off")])
    await after.append([batch(3, "next")])
    assert await read(tmp_path) == ["whole", "cut", "off", "next"]


async def test_a_damaged_part_is_left_out_and_reported(tmp_path: Path) -> None:
    first = archive(tmp_path)
    for number in range(1, 4):
        await first.append([batch(number, f"line {number}")])
    file = only_file(tmp_path)
    data = bytearray(file.read_bytes())
    data[data.index(b"line 2")] ^= 1
    file.write_bytes(data)
    assert await read(tmp_path) == ["line 1", DAMAGED]
    await archive(tmp_path).append([batch(4, "line 4")])
    assert await read(tmp_path) == ["line 1", DAMAGED, "line 4"]


@given(st.binary(max_size=200))
@settings(deadline=None)
async def test_no_content_of_a_file_fails_the_reader(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "iris").mkdir()
    (folder / "iris" / f"{REPLICA}~~1~1000000.log").write_bytes(data)
    assert await read(folder) in ([], [DAMAGED])
    await archive(folder).append([batch(9, "new")])
    assert (await read(folder))[-1] == "new"


async def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    (tmp_path / "iris").mkdir()
    (tmp_path / "iris" / "notes.txt").write_text("x")
    kept = archive(tmp_path)
    await kept.append([batch(1, "a")])
    assert await read(tmp_path) == ["a"]
    await kept.remove("iris")
    assert [path.name for path in (tmp_path / "iris").iterdir()] == ["notes.txt"]


@pytest.mark.processes
async def test_a_full_disk_stores_nothing_of_a_batch_and_is_reported(tmp_path: Path) -> None:
    with small_disk(256 * 1024) as disk:
        kept = archive(disk)
        await kept.append([batch(1, "before")])
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1024 * 1024))
        with pytest.raises(
            ArchiveFull, match=r"^The log archive /tmp/.* could not be written: No space left"
        ):
            await kept.append([batch(2, *(["x" * 1000] * 100))])
        filler.unlink()
        await kept.append([batch(2, "again")])
        assert await read(disk) == ["before", "again"]


@pytest.mark.processes
async def test_some_of_the_disk_stays_free_for_the_database(tmp_path: Path) -> None:
    with small_disk(2 * 1024 * 1024) as disk:
        (disk / "filler").write_bytes(bytes(1900 * 1024))
        message = (
            rf"^The disk of the log archive {disk} has 0 MiB left, and 0 MiB stay free for the database: "
            r"make operator\.log_archive\.total smaller or operator\.storage larger$"
        )
        with pytest.raises(ArchiveFull, match=message):
            await SegmentedArchive(SegmentFolder(disk)).append([batch(1, "a")])


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in its place")
    with pytest.raises(ArchiveError, match=rf"^The log archive {tmp_path}/logs could not be written: "):
        await archive(tmp_path / "logs").append([batch(1, "a")])
