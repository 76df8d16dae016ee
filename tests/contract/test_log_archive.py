"""What every log archive does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, ArchiveLimits, LogArchive, LogBatch
from gyrus.log_archive.folder import SegmentFolder
from gyrus.log_archive.segmented import SegmentedArchive
from gyrus.log_archive.tiered import TieredSegments
from gyrus.objects.memory import MemoryObjects
from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine
from gyrus.state.sql.log_segments import SqlSegments, open_log_segments
from gyrus.state.sql.store import open_store
from support.log_archive import MemorySegments

BASE = 1_800_000_000.0
"""Seconds since the epoch, of the first line."""
SMALL = 600
"""Bytes of a segment: some lines."""


@dataclass
class World:
    """An archive, and the archive of the next operator."""

    archive: LogArchive
    reopened: Callable[[], LogArchive]


@pytest.fixture(params=["memory", "tiered", "folder", "sqlite", "postgresql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "tiered":
            tiered = SegmentedArchive(TieredSegments(MemorySegments(), MemoryObjects()))
            yield World(tiered, lambda: tiered)
        case "memory":
            archive = SegmentedArchive(MemorySegments())
            yield World(archive, lambda: archive)
        case "folder":

            def opened() -> LogArchive:
                return SegmentedArchive(SegmentFolder(tmp_path / "logs", segment=SMALL, reserve=0))

            yield World(opened(), opened)
        case _:
            url = request.getfixturevalue(request.param)
            async with open_store(url, "a/1"):
                made: list[SqlSegments] = []

                def reopened() -> LogArchive:
                    made.append(SqlSegments(Database(create_engine(url), "a/1"), SMALL))
                    return SegmentedArchive(made[-1])

                yield World(reopened(), reopened)
                for each in made:
                    await each.close()


def line(at: float, message: str, replica: str = "iris-1-aaaaa") -> LogLine:
    return LogLine(time=BASE + at, replica=replica, message=message)


def batch(*lines: LogLine, number: int | None = None, api: str = "iris", source: str = "") -> LogBatch:
    number = int(lines[-1].time * 1000) if number is None else number
    return LogBatch(api=api, replica=lines[0].replica, source=source, number=number, lines=lines)


async def read(archive: LogArchive, api: str = "iris", **asked: object) -> list[str]:
    query = LogQuery(api=api, **asked)  # pyright: ignore[reportArgumentType]
    return [line.message async for line in archive.read(query)]


async def test_lines_are_read_as_they_were_appended(world: World) -> None:
    full = LogLine(
        time=BASE + 0.123456,
        replica="iris-1-aaaaa",
        message="ü \u2028 \x00 one\ntwo",
        stream="stderr",
        level="error",
        request_id="r",
        process=1,
        run=2,
    )
    await world.archive.append([batch(full, line(1, ""))])
    query = LogQuery(api="iris")
    assert [line async for line in world.archive.read(query)] == [full, line(1, "")]
    assert [line async for line in world.reopened().read(query)] == [full, line(1, "")]


async def test_replicas_and_sources_are_merged_in_time_order(world: World) -> None:
    other = "iris-1-bbbbb"
    for step in range(20):
        own = [line(step, f"{step}.0"), line(step + 0.2, f"{step}.2")]
        await world.archive.append(
            [
                batch(*own),
                batch(line(step + 0.1, f"{step}.1", other)),
                batch(line(step + 0.3, f"{step}.3", other), source="side"),
            ]
        )
    expected = [f"{step}.{part}" for step in range(20) for part in range(4)]
    assert await read(world.archive) == expected
    assert await read(world.archive, replica=other) == [each for each in expected if each[-1] in "13"]
    assert await read(world.archive, since=BASE + 18.2) == expected[74:]
    assert await read(world.archive, tail=3) == expected[-3:]
    assert await read(world.archive, tail=1000) == expected
    assert await read(world.archive, tail=0) == []
    assert await read(world.archive, tail=2, replica=other) == ["19.1", "19.3"]
    assert await read(world.archive, "wine") == []


async def test_lines_of_the_past_that_come_late_are_in_their_place(world: World) -> None:
    await world.archive.append([batch(line(100, "late"))])
    await world.archive.append([batch(line(1, "early", "iris-1-bbbbb"), line(101, "last", "iris-1-bbbbb"))])
    assert await read(world.archive) == ["early", "late", "last"]


async def test_a_batch_that_is_sent_again_is_stored_once(world: World) -> None:
    first, second = batch(line(0, "a"), number=7), batch(line(1, "b"), number=3)
    for archive in (world.archive, world.reopened()):
        await archive.append([first])
        assert await archive.last_batch("iris", "iris-1-aaaaa") == 7
    await world.archive.append([first, batch(line(0, "c"), source="side", number=7)])
    for archive in (world.archive, world.reopened()):
        await archive.append([second])
        assert await archive.last_batch("iris", "iris-1-aaaaa") == 3
        assert await archive.last_batch("iris", "iris-1-aaaaa", "side") == 7
        assert await archive.last_batch("iris", "iris-1-ccccc") is None
    assert sorted(await read(world.archive)) == ["a", "b", "c"]


async def test_an_api_is_removed_alone(world: World) -> None:
    await world.archive.append([batch(line(0, "a")), batch(line(0, "b", "wine-1-aaaaa"), api="wine")])
    await world.archive.remove("iris")
    await world.archive.remove("iris")
    await world.archive.remove("unknown")
    assert await read(world.archive) == []
    assert await read(world.archive, "wine") == ["b"]
    await world.archive.append([batch(line(2, "new", "iris-1-ddddd"))])
    assert await read(world.archive) == ["new"]


async def test_the_oldest_lines_go_first(world: World) -> None:
    for step in range(40):
        name = ("iris", "wine")[step % 2]
        await world.archive.append([batch(line(step, f"{step:05}" + "x" * 200, f"{name}-1-aaaaa"), api=name)])
    whole = await world.archive.sweep(ArchiveLimits(), BASE + 40)
    assert len(await read(world.archive)) == 20
    limits = ArchiveLimits(per_api=whole // 2 - 1, total=whole // 2)
    left = await world.archive.sweep(limits, BASE + 40)
    assert 0 < left <= whole // 2
    for name in ("iris", "wine"):
        kept = [int(message[:5]) for message in await read(world.archive, name)]
        assert kept
        assert kept == sorted(range(38 if name == "iris" else 39, -1, -2))[-len(kept) :]
    assert await world.archive.sweep(ArchiveLimits(age=60.0), BASE + 10**9) == 0
    assert await read(world.archive) == []


async def test_an_operator_that_does_not_lead_stores_nothing(postgresql: str) -> None:
    async with open_store(postgresql, "a/1"), open_store(postgresql, "b/2"):
        former = open_log_segments(postgresql, "a/1")
        with pytest.raises(ArchiveError, match="Another operator leads"):
            await former.append([batch(line(0, "a"))])
        await former.close()
