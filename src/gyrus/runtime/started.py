"""The requests that each process of an API has started and not answered, in files that outlive a crash.

A process that dies reports nothing. What it was working on is therefore always in a file that it maps into
its memory: it writes a request's key there when the request starts, and clears it when the request ends,
without a system call. The file stays after a crash, and its lock, which the kernel releases with the process,
shows whether the process still lives. So any other process of the API knows how many died with a request.

Only requests that the gateway may send again are recorded. Their key is the time of the arrival at the
gateway, in microseconds, and the client's id: a client that reuses an id cannot harm another request.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from mmap import ACCESS_READ, mmap

ROW = 160
"""Bytes. A key fits, with an id of up to 128 characters."""
LONGEST_KEY = ROW - 1
MOST_ROWS = 1024
"""Requests that a process records at once. Further ones are not recorded."""
KEPT = 8
"""Files of dead processes that a replica keeps, the newest."""
_END = b"\n"
_EMPTY = 0


class Sighting(Enum):
    """A process that has started a request and not answered it."""

    DEAD = "dead"
    ALIVE = "alive"
    """Perhaps about to die: a process closes its connections before it is gone."""


class StartedRequests:
    """The record of one process, and its view of the records of its siblings. Owned by the process."""

    def __init__(self, folder: str, replica: str, rows: int) -> None:
        """Create the record of this process. ``rows``: requests to record at once. Raises OSError."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._folder = folder
        self._path = os.path.join(folder, f"{replica}.{os.getpid()}")
        rows = min(rows, MOST_ROWS)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, rows * ROW)
        fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._rows = mmap(self._fd, rows * ROW)
        self._free = list(range(0, rows * ROW, ROW))
        self._remove_old(replica)

    def begin(self, key: bytes) -> int | None:
        """Record the start of a request, and return its row for :meth:`end`. Returns None if none is free.

        Callers in several threads need a lock.
        """
        if not self._free:
            return None
        row = self._free.pop()
        self._rows[row : row + len(key) + 1] = key + _END
        return row

    def end(self, row: int) -> None:
        self._rows[row] = _EMPTY
        self._free.append(row)

    def withdraw(self) -> None:
        """Remove the record, because the process ends as it was asked to: no request is at fault."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def sightings(self, key: bytes) -> list[Sighting]:
        """Return the other processes that have started the request with this key and not answered it."""
        needle = key + _END
        return [_state(path) for path in self._others() if _contains(path, needle)]

    def _others(self) -> Iterator[str]:
        with os.scandir(self._folder) as entries:
            yield from (entry.path for entry in entries if entry.path != self._path)

    def _remove_old(self, replica: str) -> None:
        """Remove the oldest files that crashes of this replica left, so that they do not accumulate."""
        own = (path for path in self._others() if os.path.basename(path).rpartition(".")[0] == replica)
        dead = sorted((path for path in own if _state(path) is Sighting.DEAD), key=_age)
        for path in dead[KEPT:]:
            with suppress(FileNotFoundError):
                os.unlink(path)


def key_of(arrived: bytes, request_id: bytes) -> bytes:
    """Return the key of a request: values of its headers, as the gateway sent them."""
    return (arrived + b" " + request_id)[:LONGEST_KEY]


def _contains(path: str, needle: bytes) -> bool:
    try:
        with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as rows:
            return rows.find(needle) >= 0
    except (OSError, ValueError):  # removed, or still empty
        return False


def _state(path: str) -> Sighting:
    """Return whether the process that owns a file lives: it holds the file's lock until it is gone."""
    try:
        with open(path, "rb") as file:
            fcntl.lockf(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # locked; or removed, because its process ended as it was asked to
        return Sighting.ALIVE
    return Sighting.DEAD


def _age(path: str) -> float:
    """Return a number that grows with the age of a file. Returns the oldest for one that is gone."""
    try:
        return -os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0
