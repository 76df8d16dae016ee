"""Segments as files of a folder: ``<api>/<replica>~<source>~<number>~<first time>.log``.

A file's modification time is that of its last line.

Each batch is a frame: a line ``#<number> <bytes> <checksum>``, and the lines. An operator that is killed
while it writes leaves an incomplete frame at a file's end. Nothing reads it, and the sender sends that batch
again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gyrus.log_archive.archive import ArchiveError, ArchiveFull, LogBatch
from gyrus.log_archive.segment import Content, Segment, encoded

SEGMENT = 256 * 1024
"""Bytes of a segment, from which on the next batch begins another one."""
LEAST = 4096
"""Bytes that a file takes at least."""
RESERVE = 256 * 2**20
"""Bytes of the disk that stay free for others, such as the database, unless a tenth of the disk is less."""
KNOWN = 4096
"""Sources whose last segment is remembered."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NAME = re.compile(r"([^~]+)~([^~]*)~(\d+)~(\d+)\.log")
_HEADER = re.compile(rb"#(\d{1,20}) (\d{1,12}) ([0-9a-f]{8})\n")

LineSource = tuple[str, str, str]
"""API, replica, source."""


@dataclass(slots=True)
class _Last:
    """The segment of a source that takes its next batch."""

    path: Path | None = None
    """Its file. None if the next batch begins a segment."""
    size: int = 0
    number: int | None = None
    """The number of the last complete batch."""
    time: float = 0.0
    """The time of the last line, in seconds since the epoch."""


class SegmentFolder:
    """Implements :class:`gyrus.log_archive.segment.SegmentStore`."""

    def __init__(self, folder: Path, *, segment: int = SEGMENT, reserve: int = RESERVE) -> None:
        self._folder = folder
        self._segment = segment
        self._reserve = reserve
        self._last: OrderedDict[LineSource, _Last] = OrderedDict()
        self._writing = asyncio.Lock()

    async def append(self, batches: Sequence[LogBatch]) -> None:
        async with self._writing:
            await asyncio.to_thread(self._append, batches)

    async def last_batch(self, api: str, replica: str, source: str) -> int | None:
        async with self._writing:
            return (await asyncio.to_thread(self._last_of, (api, replica, source))).number

    async def segments(self, api: str | None = None) -> list[Segment]:
        return await asyncio.to_thread(lambda: [segment for segment, _ in self._find(api)])

    async def content(self, segment: Segment) -> Content:
        return await asyncio.to_thread(_content, self._folder / segment.key)

    async def remove(self, segments: Sequence[Segment]) -> None:
        async with self._writing:
            await asyncio.to_thread(self._remove, segments)

    # In a thread

    def _append(self, batches: Sequence[LogBatch]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._check_space()
            for batch in batches:
                self._append_one(batch)
        except OSError as error:
            message = f"The log archive {self._folder} could not be written: {error.strerror or error}"
            raise (ArchiveFull if error.errno in _FULL else ArchiveError)(message) from error

    def _check_space(self) -> None:
        disk = shutil.disk_usage(self._folder)
        reserve = min(self._reserve, disk.total // 10)
        if disk.free < reserve:
            raise ArchiveFull(
                f"The disk of the log archive {self._folder} has {disk.free // 2**20} MiB left, and "
                f"{reserve // 2**20} MiB stay free for the database: make operator.log_archive.total "
                "smaller or operator.storage larger"
            )

    def _append_one(self, batch: LogBatch) -> None:
        source = (batch.api, batch.replica, batch.source)
        last = self._last_of(source)
        if last.number == batch.number:
            return
        body = encoded(batch.lines)
        frame = b"#%d %d %08x\n" % (batch.number, len(body), zlib.crc32(body)) + body
        if last.path is None or last.size + len(frame) > self._segment:
            last.path, last.size, last.time = self._new_path(batch), 0, 0.0
        try:
            last.time = max(last.time, *(line.time for line in batch.lines))
            _write(last.path, last.size, frame, last.time)
        except OSError:
            self._last.pop(source, None)  # what is in the file now is read again before the next batch
            raise
        last.size += len(frame)
        last.number = batch.number

    def _new_path(self, batch: LogBatch) -> Path:
        folder = self._folder / batch.api
        folder.mkdir(exist_ok=True)
        first = int(min(line.time for line in batch.lines) * 1e6)
        return folder / f"{batch.replica}~{batch.source}~{batch.number}~{max(0, first)}.log"

    def _last_of(self, source: LineSource) -> _Last:
        """Return the last segment of a source, as an earlier operator may have left it."""
        if source not in self._last:
            self._last[source] = self._read_last(source)
        self._last.move_to_end(source)
        while len(self._last) > KNOWN:
            self._last.popitem(last=False)
        return self._last[source]

    def _read_last(self, source: LineSource) -> _Last:
        api, replica, part = source
        own = [
            (int(name[3]), self._folder / segment.key)
            for segment, name in self._find(api)
            if (name[1], name[2]) == (replica, part)
        ]
        for _, path in sorted(own, reverse=True):
            data = _bytes(path)
            frames, end = _frames(data)
            if frames:  # a file with an incomplete frame takes no further one
                return _Last(None if end < len(data) else path, end, frames[-1][0], path.stat().st_mtime)
        return _Last()

    def _find(self, api: str | None = None) -> Iterator[tuple[Segment, re.Match[str]]]:
        for name in _names(self._folder) if api is None else [api]:
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._folder / name) as entries:
                for entry in entries:
                    if match := _NAME.fullmatch(entry.name):
                        with suppress(FileNotFoundError):
                            yield _segment(name, match, entry.stat()), match

    def _remove(self, segments: Sequence[Segment]) -> None:
        removed = {self._folder / segment.key for segment in segments}
        for path in removed:
            with suppress(FileNotFoundError):
                path.unlink()
        for folder in {path.parent for path in removed}:
            with suppress(OSError):  # it has other files
                folder.rmdir()
        for source in [source for source, last in self._last.items() if last.path in removed]:
            del self._last[source]


def _segment(api: str, name: re.Match[str], status: os.stat_result) -> Segment:
    return Segment(
        key=f"{api}/{name[0]}",
        api=api,
        replica=name[1],
        first=int(name[4]) / 1e6,
        last=status.st_mtime,
        size=max(LEAST, status.st_size),
    )


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _write(path: Path, size: int, frame: bytes, time: float) -> None:
    """Append a frame to the file, which has this size, whole or not at all. Raises OSError.

    ``time``: of the last line, in seconds since the epoch.
    """
    path.parent.mkdir(exist_ok=True)  # the API's other segments may have been removed
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        written = os.write(fd, frame)
        if written < len(frame):
            os.ftruncate(fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        modified = int(time * 1e9) + 1000  # not before the line, which has whole microseconds
        os.utime(fd, ns=(modified, modified))
    finally:
        os.close(fd)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _content(path: Path) -> Content:
    data = _bytes(path)
    frames, end = _frames(data)
    return Content(b"".join(body for _, body in frames), damaged=not _is_cut_off(data[end:]))


def _frames(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Return the first complete frames, number and body, and the offset of their end."""
    frames: list[tuple[int, bytes]] = []
    end = 0
    while match := _HEADER.match(data, end):
        body = data[match.end() : match.end() + int(match[2])]
        if len(body) < int(match[2]) or zlib.crc32(body) != int(match[3], 16):
            break
        frames.append((int(match[1]), body))
        end = match.end() + len(body)
    return frames, end


def _is_cut_off(rest: bytes) -> bool:
    """Return True if the rest is empty, or a frame that was not written to its end."""
    match = _HEADER.match(rest)
    return len(rest) < match.end() + int(match[2]) if match else b"\n" not in rest
