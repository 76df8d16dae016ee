"""The lines of the archive, and before them those that it has removed and an export still has."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, LogArchive
from gyrus.log_archive.export import LogExport
from gyrus.log_archive.log_merge import Copy, LogMerge


async def read_with_older(archive: LogArchive, export: LogExport, query: LogQuery) -> AsyncGenerator[LogLine]:
    """Yield the lines of both in time order, each once. Raises ArchiveError.

    The export is only asked for lines from before the time since which the archive is complete, and not at
    all if the archive has as many lines as the query asks for. If it cannot be read, a line reports it.
    """
    since, complete = query.since or 0.0, await archive.complete_since(query.api)
    newest = [line async for line in archive.read(query)] if query.tail is not None else None
    if complete <= since or (newest and len(newest) == query.tail and newest[0].time >= complete):
        async with aclosing(_given(newest) if newest is not None else archive.read(query)) as lines:
            async for line in lines:
                yield line
        return
    kept = _given(newest) if newest is not None else archive.read(query)
    merged = _merged(_older(export, query, complete), kept)
    async with aclosing(merged if query.tail is None else _last(merged, query.tail)) as lines:
        async for line in lines:
            yield line


async def _older(export: LogExport, query: LogQuery, until: float) -> AsyncGenerator[LogLine]:
    """Yield lines of the export up to a time; if it cannot be read further, a line that reports it."""
    last = query.since or 0.0
    try:
        async with aclosing(export.read(query, until)) as lines:
            async for line in lines:
                last = line.time
                yield line
    except ArchiveError as error:
        message = f"older lines cannot be read now: {error}"
        yield LogLine(
            time=last, replica=query.replica or query.api, message=message, stream="gyrus", level="warning"
        )


async def _merged(older: AsyncGenerator[LogLine], kept: AsyncGenerator[LogLine]) -> AsyncGenerator[LogLine]:
    merge = LogMerge()
    async with aclosing(older), aclosing(kept):
        next_kept = await anext(kept, None)
        async for line in older:
            while next_kept and next_kept.time <= line.time:
                if merge.admit(Copy.ARCHIVE, next_kept):
                    yield next_kept
                next_kept = await anext(kept, None)
            if merge.admit(Copy.EXPORT, line):
                yield line
        while next_kept:
            if merge.admit(Copy.ARCHIVE, next_kept):
                yield next_kept
            next_kept = await anext(kept, None)


async def _last(lines: AsyncGenerator[LogLine], count: int) -> AsyncGenerator[LogLine]:
    async with aclosing(lines):
        newest = deque([line async for line in lines], maxlen=count)
    for line in newest:
        yield line


async def _given(lines: list[LogLine]) -> AsyncGenerator[LogLine]:
    for line in lines:
        yield line
