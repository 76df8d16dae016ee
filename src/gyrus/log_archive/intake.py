"""The way of lines into the archive: one writer for all senders, followers, and the sweep."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from gyrus.aio.clock import Clock
from gyrus.aio.tasks import first_of
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError, ArchiveLimits, LogArchive, LogBatch
from gyrus.log_archive.export import LogExport
from gyrus.log_archive.older_lines import read_with_older

log = logging.getLogger(__name__)

SWEEP = 60.0
"""Seconds between two sweeps, at most."""
SWEEP_SHARE = 1 / 8
"""Part of the smaller limit of bytes after which a sweep is due: the limits may be exceeded by it."""
MOST_WAITING = 32 * 2**20
"""Bytes of messages that wait to be stored. Beyond them, senders have to try again."""
FOLLOWED = 10_000
"""Lines that a follower may lag behind. It loses the oldest beyond them."""


@dataclass(slots=True)
class ArchiveCounts:
    """Counts of the archive since the operator started."""

    lines: int = 0
    """Lines that have been stored."""
    failures: int = 0
    """Batches that could not be stored. Their senders try again, and count what they drop."""
    size: int = 0
    """Bytes, as of the last sweep and with what was stored since."""


class LogIntake:
    """Takes batches of lines, and stores all that wait at once. Not thread-safe: one event loop owns it."""

    def __init__(
        self, archive: LogArchive, limits: ArchiveLimits, clock: Clock, export: LogExport | None = None
    ) -> None:
        """``export``: gets a copy of each batch, and has lines that the archive has removed."""
        self.counts = ArchiveCounts()
        self._archive = archive
        self._limits = limits
        self._clock = clock
        self._export = export
        self._waiting: list[tuple[LogBatch, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._unswept = 0
        self._sweep_due = asyncio.Event()
        self._followers: dict[str, set[asyncio.Queue[LogLine]]] = defaultdict(set)
        self._fault = ""
        """The present reason why nothing is stored. Empty if there is none."""

    async def run(self) -> None:
        """Store what comes, and sweep, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(), name="log archive: writer")
                group.create_task(self._sweep(), name="log archive: sweep")
        finally:
            self._finish(self._take(), ArchiveError("The operator is stopping."))

    async def add(self, batch: LogBatch) -> None:
        """Show a batch to the followers, and return when it is stored. Raises ArchiveError."""
        self._show(batch)
        if self._export:
            self._export.offer(batch)
        if self._waiting_bytes > MOST_WAITING:
            self.counts.failures += 1
            raise ArchiveError("The log archive is slower than its senders. Try again.")
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, stored))
        self._waiting_bytes += _size(batch)
        self._more.set()
        await stored

    async def last_batch(self, api: str, replica: str, source: str = "") -> int | None:
        """As :meth:`gyrus.log_archive.archive.LogArchive.last_batch`."""
        return await self._archive.last_batch(api, replica, source)

    def read(self, query: LogQuery) -> AsyncGenerator[LogLine]:
        """As :meth:`gyrus.log_archive.archive.LogArchive.read`, with older lines if it has a ``since``."""
        if self._export is None or query.since is None:
            return self._archive.read(query)
        return read_with_older(self._archive, self._export, query)

    async def remove(self, api: str) -> None:
        """As :meth:`gyrus.log_archive.archive.LogArchive.remove`."""
        await self._archive.remove(api)

    @contextmanager
    def following(self, api: str) -> Generator[asyncio.Queue[LogLine]]:
        """Yield a queue that gets each line of an API that arrives during the block, stored or not."""
        lines = asyncio.Queue[LogLine](FOLLOWED)
        self._followers[api].add(lines)
        try:
            yield lines
        finally:
            self._followers[api].discard(lines)
            if not self._followers[api]:
                del self._followers[api]

    def _show(self, batch: LogBatch) -> None:
        for follower in self._followers.get(batch.api, ()):
            for line in batch.lines:
                if follower.full():
                    follower.get_nowait()
                follower.put_nowait(line)

    # The writer

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            taken = self._take()
            try:
                await self._archive.append([batch for batch, _ in taken])
            except ArchiveError as error:
                self._failed(len(taken), error)
                self._finish(taken, error)
            except BaseException:
                self._finish(taken, ArchiveError("The log archive has failed. Try again."))
                raise
            else:
                self._stored([batch for batch, _ in taken])
                self._finish(taken, None)

    def _take(self) -> list[tuple[LogBatch, asyncio.Future[None]]]:
        taken, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._more.clear()
        return taken

    @staticmethod
    def _finish(taken: list[tuple[LogBatch, asyncio.Future[None]]], error: ArchiveError | None) -> None:
        for _, stored in taken:
            if stored.done():  # its sender has gone
                continue
            if error:
                stored.set_exception(error)
            else:
                stored.set_result(None)

    def _stored(self, batches: list[LogBatch]) -> None:
        if self._fault:
            log.info("The log archive stores lines again.")
            self._fault = ""
        size = sum(map(_size, batches))
        self.counts.lines += sum(len(batch.lines) for batch in batches)
        self.counts.size += size
        self._unswept += size
        if self._unswept > min(self._limits.per_api, self._limits.total) * SWEEP_SHARE:
            self._sweep_due.set()

    def _failed(self, batches: int, error: ArchiveError) -> None:
        self.counts.failures += batches
        if not self._fault:
            log.warning("Lines of replicas are not archived: %s. Replicas go on, and keep some lines.", error)
        self._fault = str(error)

    # The sweep

    async def _sweep(self) -> None:
        while True:
            self._sweep_due.clear()
            self._unswept = 0
            try:
                now = self._clock.now().timestamp()
                self.counts.size = await self._archive.sweep(self._limits, now)
            except ArchiveError as error:
                log.warning("Old lines of the log archive could not be removed: %s", error)
            await first_of(self._sweep_due.wait(), self._clock.sleep(SWEEP))


def _size(batch: LogBatch) -> int:
    """Return about how many bytes a batch takes."""
    return sum(len(line.message) + 80 for line in batch.lines)
