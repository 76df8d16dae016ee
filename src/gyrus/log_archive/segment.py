"""Segments: successive lines of one source, which are stored, read and removed together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import msgspec

from gyrus.contract.operator import LogLine
from gyrus.log_archive.archive import LogBatch

_decoder = msgspec.json.Decoder(LogLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stored segment, without its lines. Times in seconds since the epoch."""

    key: str
    """Its name in the store."""
    api: str
    replica: str
    first: float
    """The time of its first line."""
    last: float
    """No line is later."""
    size: int
    """Bytes that it takes in the store."""


@dataclass(frozen=True, slots=True)
class Content:
    """The lines of a segment, each as JSON with a newline at its end."""

    data: bytes
    damaged: bool = False
    """True if a part of it is missing."""


class SegmentStore(Protocol):
    """A place of segments. Its methods raise ArchiveError."""

    async def append(self, batches: Sequence[LogBatch]) -> None:
        """As :meth:`gyrus.log_archive.archive.LogArchive.append`."""
        ...

    async def last_batch(self, api: str, replica: str, source: str) -> int | None:
        """As :meth:`gyrus.log_archive.archive.LogArchive.last_batch`."""
        ...

    async def segments(self, api: str | None = None) -> Sequence[Segment]:
        """Return the segments of an API. None: of all."""
        ...

    async def content(self, segment: Segment) -> Content:
        """Return the content of a segment. It is empty if the segment has been removed."""
        ...

    async def remove(self, segments: Sequence[Segment]) -> None:
        """Remove these segments. Idempotent."""
        ...


def encoded(lines: Iterable[LogLine]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def decoded(segment: Segment, content: Content) -> Iterator[LogLine]:
    """Yield the lines of a segment; at their end, a line that reports damage of its content."""
    damaged, last = content.damaged, segment.first
    for text in BytesIO(content.data):
        try:
            line = _decoder.decode(text)
        except msgspec.MsgspecError:
            damaged = True
            continue
        last = line.time
        yield line
    if damaged:
        message = "lines are missing here: a part of the log archive is damaged"
        yield LogLine(time=last, replica=segment.replica, message=message, stream="gyrus", level="warning")
