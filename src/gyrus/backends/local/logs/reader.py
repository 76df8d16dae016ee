"""The logs of an API: those of all its replicas, merged in time order."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

import msgspec

from gyrus.backends.local.logs.files import ReplicaLog
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.contract.replica import ReplicaStatus

POLL = 0.2
"""Seconds between two reads of new lines."""
BATCH = 500
"""Lines that are read at once, outside the event loop."""
DISORDER = 5.0
"""Seconds by which a line may be older than the one before it in the same file."""

_decoder = msgspec.json.Decoder(LogLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The marks that distinguish lines of running processes from lines of their predecessors."""

    started_at: float
    """Start of the supervisor, in seconds since the epoch."""
    runs: dict[int, int]
    """Number of restarts, by process."""

    @classmethod
    def of(cls, status: ReplicaStatus) -> Present:
        runs = {process.index: process.restarts for process in status.processes}
        return cls(started_at=status.started_at or 0.0, runs=runs)

    def wrote(self, line: LogLine) -> bool:
        return line.time >= self.started_at and line.run >= self.runs.get(line.process, 0)


async def read_logs(
    folder: Path, query: LogQuery, present: Callable[[str], Present | None]
) -> AsyncGenerator[LogLine]:
    """Yield the lines that a query selects.

    ``folder``: the API's folder of logs. ``present``: returns the present processes of a replica by its id,
    None if the replica is gone.
    """
    reading = _Reading(folder, query, present)
    try:
        lines = reading.past()
        while True:
            while batch := await asyncio.to_thread(reading.take, lines):
                for line in batch:
                    yield line
            if not query.follow:
                return
            await asyncio.sleep(POLL)
            lines = reading.news()
    finally:
        await asyncio.to_thread(reading.close)


class _Reading:
    """One query in progress. All methods block. The lock serialises threads that outlive their caller."""

    def __init__(self, folder: Path, query: LogQuery, present: Callable[[str], Present | None]) -> None:
        self._folder = folder
        self._query = query
        self._present = present
        self._logs: dict[str, ReplicaLog] = {}
        self._lock = threading.Lock()
        self._closed = False

    def take(self, lines: Iterator[LogLine]) -> list[LogLine]:
        with self._lock:
            return [] if self._closed else list(islice(lines, BATCH))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for log in self._logs.values():
                log.close()

    def past(self) -> Iterator[LogLine]:
        if self._query.tail is None:
            yield from self.news()
            return
        self._find()
        newest = [line for log in self._logs.values() for line in self._last(log, self._query.tail)]
        newest.sort(key=_time)
        yield from newest[max(0, len(newest) - self._query.tail) :]

    def news(self) -> Iterator[LogLine]:
        """Yield the lines that were written since the last read, up to now."""
        self._find()
        parts = [filter(self._asked, _parsed(log.lines())) for log in self._logs.values()]
        yield from heapq.merge(*parts, key=_time)

    def _last(self, log: ReplicaLog, count: int) -> list[LogLine]:
        """Return the newest ``count`` lines that the query selects, the newest first."""
        since = (self._query.since or 0.0) - DISORDER
        backwards = log.backwards()
        recent = takewhile(lambda line: line.time >= since, _parsed(backwards))
        try:
            return list(islice(filter(self._asked, recent), count))
        finally:
            # Close the generator now: it holds the older files open until it ends.
            getattr(backwards, "close", lambda: None)()

    def _find(self) -> None:
        """Open the logs of new replicas, and close the removed ones."""
        there = {
            path.name: path for path in _folders(self._folder) if self._query.replica in (None, path.name)
        }
        for name in self._logs.keys() - there.keys():
            self._logs.pop(name).close()
        for name in sorted(there.keys() - self._logs.keys()):
            self._logs[name] = ReplicaLog(there[name])

    def _asked(self, line: LogLine) -> bool:
        if self._query.since is not None and line.time < self._query.since:
            return False
        if not self._query.previous:
            return True
        present = self._present(line.replica)
        return present is None or not present.wrote(line)


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []


def _parsed(lines: Iterator[bytes]) -> Iterator[LogLine]:
    for line in lines:
        try:
            yield _decoder.decode(line)
        except msgspec.MsgspecError:
            continue  # not a line of a supervisor, or cut off by a crash of the machine


def _time(line: LogLine) -> float:
    return line.time
