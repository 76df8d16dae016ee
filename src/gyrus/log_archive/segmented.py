"""An archive whose lines are in segments."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from math import inf

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveLimits, LogBatch
from gyrus.log_archive.retention import expired
from gyrus.log_archive.segment import Segment, SegmentStore, decoded

DISORDER = 5.0
"""Seconds by which a line may be older than the one before it in the same segment."""


class SegmentedArchive:
    """Implements :class:`gyrus.log_archive.archive.LogArchive`.

    Reading holds only the segments that overlap in time, at most one or two of each source.
    """

    def __init__(self, store: SegmentStore) -> None:
        self._store = store

    async def append(self, batches: Sequence[LogBatch]) -> None:
        await self._store.append(batches)

    async def last_batch(self, api: str, replica: str, source: str = "") -> int | None:
        return await self._store.last_batch(api, replica, source)

    async def read(self, query: LogQuery) -> AsyncGenerator[LogLine]:
        since = query.since or 0.0
        segments = [
            segment
            for segment in await self._store.segments(query.api)
            if query.replica in (None, segment.replica) and segment.last >= since
        ]
        if query.tail is not None:
            for line in await self._newest(segments, since, query.tail):
                yield line
            return
        async for line in self._in_order(segments, since):
            yield line

    async def complete_since(self, api: str) -> float:
        # A sweep removes the segments with the oldest last lines, so that these are not newer than any left.
        return min((segment.last for segment in await self._store.segments(api)), default=inf)

    async def remove(self, api: str) -> None:
        await self._store.remove(await self._store.segments(api))

    async def sweep(self, limits: ArchiveLimits, now: float) -> int:
        segments = await self._store.segments()
        removed = expired(segments, limits, now)
        await self._store.remove(removed)
        return sum(segment.size for segment in segments) - sum(segment.size for segment in removed)

    async def _newest(self, segments: Sequence[Segment], since: float, count: int) -> list[LogLine]:
        """Return the newest lines in time order. It reads the newest segments only."""
        found: list[LogLine] = []
        for segment in sorted(segments, key=lambda segment: segment.last, reverse=True):
            if count == 0 or (len(found) == count and found[0].time > segment.last):
                break
            found += await self._lines(segment, since)
            found.sort(key=_time)
            found = found[max(0, len(found) - count) :]
        return found

    async def _in_order(self, segments: Sequence[Segment], since: float) -> AsyncGenerator[LogLine]:
        waiting = deque(sorted(segments, key=lambda segment: segment.first))
        reading: list[tuple[float, int, LogLine, Iterator[LogLine]]] = []
        """A heap of the segments that are being read, by the time of their next line."""
        opened = 0
        while waiting or reading:
            while waiting and (not reading or waiting[0].first - DISORDER <= reading[0][0]):
                lines = await self._lines(waiting.popleft(), since)
                opened += 1
                _push(reading, opened, lines)
            if reading:
                _, number, line, lines = heapq.heappop(reading)
                yield line
                _push(reading, number, lines)

    async def _lines(self, segment: Segment, since: float) -> Iterator[LogLine]:
        content = await self._store.content(segment)
        return (line for line in decoded(segment, content) if line.time >= since)


def _push(
    heap: list[tuple[float, int, LogLine, Iterator[LogLine]]], number: int, lines: Iterator[LogLine]
) -> None:
    """Add a segment by its next line. ``number``: decides between lines of the same time."""
    line = next(lines, None)
    if line is not None:
        heapq.heappush(heap, (line.time, number, line, lines))


def _time(line: LogLine) -> float:
    return line.time
