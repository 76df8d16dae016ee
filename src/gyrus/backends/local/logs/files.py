"""One replica's log files, read forwards as they grow and rotate, or backwards from their end. Blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

NEWEST = "replica.log"
BLOCK = 64 * 1024


class ReplicaLog:
    """A position in a replica's log, which moves forwards.

    It holds the files that it has not read yet open, so that rotation neither hides nor repeats a line: the
    system does not reuse the inode of an open file.
    """

    def __init__(self, folder: Path) -> None:
        self.replica = folder.name
        self._folder = folder
        self._files: list[BinaryIO] = []
        """Open files, the oldest first. The last one is the newest that is known."""
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that were written since the last call, up to now."""
        self._look()
        while self._files:
            if chunk := self._files[0].read(BLOCK):
                *whole, self._rest = (self._rest + chunk).split(b"\n")
                yield from whole
            elif len(self._files) > 1:
                self._next()
            elif not self._look():  # if a newer one was found, read the rest of this one first
                return

    def backwards(self) -> Iterator[bytes]:
        """Yield all lines so far, the newest first. :meth:`lines` yields those that are written later."""
        self._look()
        older, self._files = self._files[:-1], self._files[-1:]
        ends = [_end_of_lines(file) for file in self._files]
        for file, end in zip(self._files, ends, strict=True):
            file.seek(end)
        return self._from_the_end(older, ends)

    def close(self) -> None:
        for file in self._files:
            file.close()
        self._files.clear()

    def _from_the_end(self, older: list[BinaryIO], ends: list[int]) -> Iterator[bytes]:
        try:
            for file, end in zip(self._files, ends, strict=True):
                yield from _backwards(file, end)
            for file in reversed(older):
                yield from _backwards(file, _end_of_lines(file))
        finally:
            for file in older:
                file.close()

    def _next(self) -> None:
        self._files.pop(0).close()
        self._rest = b""

    def _look(self) -> bool:
        """Open the files that are newer than the known ones. Returns True if there were any."""
        newer: list[BinaryIO] = []
        for file in _newest_first(self._folder):
            if self._files and _inode(file) == _inode(self._files[-1]):
                file.close()
                break
            newer.append(file)
        self._files.extend(reversed(newer))
        return bool(newer)


def _newest_first(folder: Path) -> Iterator[BinaryIO]:
    """Yield all files, even if they are rotated meanwhile.

    A rotation moves each file to the next number, beginning with the oldest. So one number may be missing for
    a moment, and a file may be found twice: the second time it is skipped.
    """
    met: set[int] = set()
    missing = 0
    for number in count():
        try:
            file = (folder / (f"{NEWEST}.{number}" if number else NEWEST)).open("rb", buffering=0)
        except OSError:
            missing += 1
            if missing == 2:
                return
            continue
        missing = 0
        if _inode(file) in met:
            file.close()
        else:
            met.add(_inode(file))
            yield file


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino


def _end_of_lines(file: BinaryIO) -> int:
    """Return the offset at which the last complete line ends."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - BLOCK)
        found = os.pread(file.fileno(), end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the lines before ``end``, the last first."""
    rest = b""
    while end > 0:
        start = max(0, end - BLOCK)
        first, *others = (os.pread(file.fileno(), end - start, start) + rest).split(b"\n")
        yield from (line for line in reversed(others) if line)
        rest, end = first, start
    if rest:
        yield rest
