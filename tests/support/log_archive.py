"""A log archive in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gyrus.aio.clock import SystemClock
from gyrus.log_archive.archive import ArchiveLimits, LogBatch
from gyrus.log_archive.intake import LogIntake
from gyrus.log_archive.segment import Content, Segment, encoded
from gyrus.log_archive.segmented import SegmentedArchive


@dataclass
class MemorySegments:
    """Implements :class:`gyrus.log_archive.segment.SegmentStore`: each batch is a segment."""

    kept: dict[str, tuple[Segment, bytes]] = field(default_factory=dict[str, tuple[Segment, bytes]])
    last: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])

    async def append(self, batches: Sequence[LogBatch]) -> None:
        for batch in batches:
            source = (batch.api, batch.replica, batch.source)
            if self.last.get(source) == batch.number:
                continue
            self.last[source] = batch.number
            data, times = encoded(batch.lines), [line.time for line in batch.lines]
            segment = Segment(
                key=f"{len(self.kept):09}/{batch.replica}/{batch.source}/{batch.number}",
                api=batch.api,
                replica=batch.replica,
                first=min(times),
                last=max(times),
                size=len(data),
            )
            self.kept[segment.key] = (segment, data)

    async def last_batch(self, api: str, replica: str, source: str) -> int | None:
        return self.last.get((api, replica, source))

    async def segments(self, api: str | None = None) -> list[Segment]:
        return [segment for segment, _ in self.kept.values() if api in (None, segment.api)]

    async def content(self, segment: Segment) -> Content:
        return Content(self.kept[segment.key][1] if segment.key in self.kept else b"")

    async def remove(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self.kept.pop(segment.key, None)


def intake_of(segments: MemorySegments | None = None) -> LogIntake:
    archive = SegmentedArchive(segments or MemorySegments())
    return LogIntake(archive, ArchiveLimits(), SystemClock())
